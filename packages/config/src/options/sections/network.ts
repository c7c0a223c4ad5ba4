import { networkText } from "../../units/network.ts";
import { list } from "../kinds.ts";
import { option } from "../option.ts";

/** Section `network`. */
export const networkOptions = {
	trustedProxies: option({
		flag: "trusted-proxies",
		key: "trusted_proxies",
		kind: list({ argument: "<list>", item: networkText }),
		default: [],
		live: true,
		help: "Networks of load balancers and proxies in front of the server, such as 10.0.0.0/8,2001:db8::7: what they say about a client's address in X-Forwarded-For is believed; none = the header is ignored.",
	}),
} as const;
