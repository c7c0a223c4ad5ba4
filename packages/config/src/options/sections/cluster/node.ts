import { address, duration, text } from "../../kinds.ts";
import { option } from "../../option.ts";

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
		help: "Name of this node, different from those of all other nodes; empty = its host name.",
	}),
	nodeAddress: option({
		flag: "node-address",
		key: "address",
		kind: address({ examplePort: 3005, optional: true }),
		default: "",
		help: "Address at which clients and other nodes reach this one, such as 10.0.0.7:3005; empty = its first network address and the balancer's port.",
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
		help: "Region of this node, such as eu-west; the other nodes show it.",
	}),
	nodeHeartbeatMs: option({
		flag: "node-heartbeat",
		key: "heartbeat",
		kind: duration({ minMs: 100, maxMs: 60_000 }),
		default: 5000,
		help: "How often this node sends a heartbeat, with its state, to the others.",
	}),
	nodeTimeoutMs: option({
		flag: "node-timeout",
		key: "timeout",
		kind: duration({ minMs: 300, maxMs: 600_000 }),
		default: 15_000,
		help: "Time without a heartbeat after which a node has left; at least two heartbeats.",
	}),
} as const;
