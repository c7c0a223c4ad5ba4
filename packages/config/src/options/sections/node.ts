import { address, duration, text } from "../kinds.ts";
import { option } from "../option.ts";

/** Section `node`. */
export const nodeOptions = {
	nodeId: option({
		flag: "node-id",
		key: "id",
		variable: "NODE_ID",
		kind: text({
			argument: "<id>",
			matches: /^[\w.-]{0,64}$/,
			expected: "an id: letters, digits, dots, dashes and underscores, 64 at most",
		}),
		default: "",
		help: "Name of this machine among all; no two have the same; empty = its host name.",
	}),
	nodeAddress: option({
		flag: "node-address",
		key: "address",
		kind: address({ examplePort: 3005, optional: true }),
		default: "",
		help: "Address at which clients and other machines reach this one, such as 10.0.0.7:3005; empty = its first network address, and the port of the balancer.",
	}),
	nodeRegion: option({
		flag: "node-region",
		key: "region",
		kind: text({
			argument: "<name>",
			matches: /^[\w.-]{0,64}$/,
			expected: "a region: letters, digits, dots, dashes and underscores, 64 at most",
		}),
		default: "",
		help: "Where this machine is, such as eu-west; the other machines are told.",
	}),
	nodeHeartbeatMs: option({
		flag: "node-heartbeat",
		key: "heartbeat",
		kind: duration({ minMs: 100, maxMs: 60_000 }),
		default: 5000,
		help: "How often this machine tells the others that it is there, and how it is.",
	}),
	nodeTimeoutMs: option({
		flag: "node-timeout",
		key: "timeout",
		kind: duration({ minMs: 300, maxMs: 600_000 }),
		default: 15_000,
		help: "A machine that was not heard of for so long has left; it must be at least two heartbeats.",
	}),
} as const;
