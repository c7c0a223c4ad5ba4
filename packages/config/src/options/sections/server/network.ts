import { networkText } from "../../../units/network.ts";
import { list, toggle } from "../../kinds.ts";
import { everywhere, option } from "../../option.ts";

/** Section `network`. */
export const networkOptions = {
	trustedProxies: option({
		flag: "trusted-proxies",
		key: "trusted_proxies",
		kind: list({ argument: "<list>", item: networkText }),
		default: [],
		commands: everywhere,
		live: true,
		help: "Networks of load balancers and proxies in front of the server, such as 10.0.0.0/8,2001:db8::7: X-Forwarded-For is trusted from these addresses only; none = the header is ignored.",
	}),
	proxyProtocol: option({
		flag: "proxy-protocol",
		key: "proxy_protocol",
		kind: toggle(),
		default: false,
		commands: everywhere,
		help: "Each connection begins with a PROXY header, version 1 or 2, from one of --trusted-proxies, and counts for the address in it; a connection without one is refused.",
	}),
} as const;
