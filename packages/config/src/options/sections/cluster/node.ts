import { parseNodeUrl } from "../../../units/node-url.ts";
import { address, checkedText, choice, duration, fraction, integer, text } from "../../kinds.ts";
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
	nodeUrl: option({
		flag: "node-url",
		key: "url",
		kind: checkedText({ argument: "<url>", check: (value) => value === "" || parseNodeUrl(value) }),
		default: "",
		help: "URL at which clients reach this node, such as wss://n1.example.com; empty = its address, if --node-address or a host to listen on is given. /cluster/select names only nodes with a URL.",
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
	nodeWeight: option({
		flag: "node-weight",
		key: "weight",
		kind: integer({ min: 1, max: 1000 }),
		default: 1,
		help: "Share of new clients that this node gets when a node is selected, compared with the others: one with 2 gets twice as many as one with 1.",
	}),
	selectStrategy: option({
		flag: "select-strategy",
		key: "select_strategy",
		kind: choice(["least_connections", "round_robin", "random", "weighted", "ip_hash", "user_hash", "adaptive"]),
		default: "least_connections",
		live: true,
		help: "How /cluster/select and selectNode choose a node for a client: see the guide to several machines.",
	}),
	selectRegion: option({
		flag: "select-region",
		key: "select_region",
		kind: choice(["own", "any"]),
		default: "own",
		live: true,
		help: "Region whose nodes are selected first, where a client names none: that of the node that selects, or any.",
	}),
	rebalanceRate: option({
		flag: "rebalance-rate",
		key: "rebalance_rate",
		kind: integer({ min: 1, max: 1_000_000 }),
		default: 100,
		live: true,
		help: "Clients per second that a node with too many asks to connect again during a rebalance.",
	}),
	scaleUpAt: option({
		flag: "scale-up-at",
		key: "scale_up_at",
		kind: fraction(),
		default: 0.8,
		help: "Connections of all nodes, as part of what they can take, above which the event scaleUp is announced.",
	}),
	scaleDownAt: option({
		flag: "scale-down-at",
		key: "scale_down_at",
		kind: fraction(),
		default: 0.3,
		help: "The same, below which the event scaleDown is announced.",
	}),
	scaleMinNodes: option({
		flag: "scale-min-nodes",
		key: "scale_min_nodes",
		kind: integer({ min: 1, max: 1000 }),
		default: 2,
		help: "With so many nodes or fewer, scaleDown is not announced.",
	}),
	scaleMaxNodes: option({
		flag: "scale-max-nodes",
		key: "scale_max_nodes",
		kind: integer({ min: 1, max: 1000 }),
		default: 20,
		help: "With so many nodes or more, scaleUp is not announced.",
	}),
	scaleHoldMs: option({
		flag: "scale-hold",
		key: "scale_hold",
		kind: duration({ minMs: 1000, maxMs: 86_400_000 }),
		default: 30_000,
		help: "How long the load must stay there before a scale event, and the least time between two such events.",
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
