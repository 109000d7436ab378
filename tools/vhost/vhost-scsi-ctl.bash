# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Completion of vhost-scsi-ctl's command line.

_vhost_scsi_ctl() {
	local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]}
	local command=${COMP_WORDS[1]-} words='' i

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		words='run info state suspend resume migrate rollback save commit load drop show --help'
	else
		case $last in
		-c | --control)
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
			return
			;;
		-l | --listen | --timeout) return ;;
		esac
		case $command in
		run)
			# Behind the dashes it is QEMU's command line.
			for ((i = 2; i < COMP_CWORD; i++)); do
				[[ ${COMP_WORDS[i]} != -- ]] || {
					mapfile -t COMPREPLY < <(compgen -f -- "$word")
					return
				}
			done
			words='--control --listen --'
			;;
		info | resume | commit | drop | rollback) words='--control --json' ;;
		state) words='--control --json --watch' ;;
		suspend) words='--control --json --timeout --no-flush' ;;
		save) words='--control --inventory --timeout' ;;
		load) words='--control --json --check --cache-dropped' ;;
		migrate) words='--interactive --json' ;;
		show) words='--json' ;;
		*) return ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	if [[ $command =~ ^(save|load|show|migrate)$ && $word != -* ]]; then
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
	fi
}
complete -F _vhost_scsi_ctl vhost-scsi-ctl
