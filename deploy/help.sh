# shellcheck shell=bash
# Sourced first by the scripts of this directory: --help prints the comment at the script's top, any other flag is refused, so that
# nobody starts an engine or builds an image who only wanted to know how.
for argument in "$@"; do
	case "$argument" in
	-h | --help)
		sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	-*)
		echo "$0: unknown flag $argument; $0 --help says how it is used" >&2
		exit 2
		;;
	esac
done
