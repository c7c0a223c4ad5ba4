import { autoToggle, text } from "../../kinds.ts";
import { option, withGateway } from "../../option.ts";

/** Section `auth`. */
export const authOptions = {
	requireAuth: option({
		flag: "require-auth",
		key: "require",
		kind: autoToggle(),
		default: undefined,
		commands: withGateway,
		live: true,
		help: "Clients need a token, publishers the API key, and the console its token; if not given, this is on as soon as a key, secret, console token or connect proxy is set, unless --client-insecure is on.",
	}),
	rawTokenCookie: option({
		flag: "raw-token-cookie",
		key: "raw_token_cookie",
		kind: text({
			argument: "<name>",
			matches: /^[-a-zA-Z0-9_.]{0,64}$/,
			expected: "the name of a cookie, of at most 64 letters, digits and -_.",
		}),
		default: "",
		commands: withGateway,
		live: true,
		help: "Cookie in which clients of the raw endpoint may send their token, as well as in ?token= and Authorization: Bearer; empty = none.",
	}),
} as const;
