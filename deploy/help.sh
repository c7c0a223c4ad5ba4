# shellcheck shell=bash
# Sourced first by the scripts of this directory: --help prints the comment at the script's top, any other flag is refused, so that
# someone who only wants to know how starts no engine and builds no image.
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
