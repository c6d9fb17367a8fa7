# shellcheck shell=bash
# Completion of mpproxyctl for bash; goes to .../bash-completion/completions/mpproxyctl

_mpproxyctl_uplinks() {
	mpproxyctl "$@" -j uplinks 2>/dev/null |
		grep -o '"\(name\|ifname\)":"[^"\\]*"' | cut -d'"' -f4
}

_mpproxyctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local i word command='' n=0 socket=() words=''

	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-s | --socket) socket=(-s "${COMP_WORDS[++i]}") ;;
		--from | --limit) ((i++)) ;;
		-*) ;;
		*) if [ -z "$command" ]; then command=$word; else ((n++)); fi ;;
		esac
	done
	case $prev in
	-s | --socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--from | --limit) return ;;
	esac
	case $command:$n in
	:*) words='status uplinks why streams subflows version set-backup set-priority
		genkey pubkey genpsk --socket --json --help --version' ;;
	streams:* | subflows:*) words='--from --limit --help' ;;
	set-backup:0 | set-priority:0 | why:0) words=$(_mpproxyctl_uplinks "${socket[@]}") ;;
	set-priority:1) words='always backup never' ;;
	*) words='--help' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _mpproxyctl mpproxyctl
