import { edgeNodeText } from "../../../units/edge-node.ts";
import { address, duration, integer, list, pemFile, text, toggle } from "../../kinds.ts";
import { option } from "../../option.ts";

const commands = ["edge"] as const;

/** Section `edge`. */
export const edgeOptions = {
	edgeAddr: option({
		flag: "edge-addr",
		key: "address",
		kind: address({ examplePort: 3010 }),
		default: ":3010",
		commands,
		help: "Address that clients connect to, such as :3010; port 0 = a free port.",
	}),
	edgeNodes: option({
		flag: "nodes",
		key: "nodes",
		kind: list({ argument: "<list>", item: edgeNodeText }),
		default: [],
		commands,
		help: "Nodes to pass clients on to, such as 10.0.0.7:3005,10.0.0.8:3005=2, where 2 is a weight; none = those in Redis (--redis-url).",
	}),
	edgeSendProxy: option({
		flag: "send-proxy",
		key: "send_proxy",
		kind: toggle(),
		default: false,
		commands,
		help: "Begin each connection to a node with a PROXY header, version 2, for nodes that run with --proxy-protocol.",
	}),
	edgeNodesTls: option({
		flag: "nodes-tls",
		key: "nodes_tls.enabled",
		kind: toggle(),
		default: false,
		commands,
		help: "Connect to the nodes with TLS, for nodes that have a certificate (--tls-cert). All of them must have one.",
	}),
	edgeNodesTlsCa: option({
		flag: "nodes-tls-ca",
		key: "nodes_tls.ca",
		kind: pemFile(),
		default: "",
		commands,
		help: "PEM file of the CA that signed the nodes' certificates; none = the CAs that Node trusts.",
	}),
	edgeNodesTlsName: option({
		flag: "nodes-tls-name",
		key: "nodes_tls.server_name",
		kind: text({
			argument: "<name>",
			matches: /^$|^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i,
			expected: "a server name, such as nodes.example.com",
		}),
		default: "",
		commands,
		help: "Name that the nodes' certificates must have, such as nodes.example.com; none = the host of each node's address.",
	}),
	edgeNodesTlsVerify: option({
		flag: "nodes-tls-verify",
		key: "nodes_tls.verify",
		kind: toggle(),
		default: true,
		commands,
		help: "Verify the nodes' certificates; without this, anyone on the network path can read the traffic.",
	}),
	edgeMaxConnections: option({
		flag: "edge-max-connections",
		key: "max_connections",
		kind: integer({ min: 0, max: 10_000_000 }),
		default: 0,
		commands,
		live: true,
		help: "Maximum connections to all nodes together; more get 503; 0 = as many as the limit of open files allows, two for each.",
	}),
	edgeConnectTimeoutMs: option({
		flag: "connect-timeout",
		key: "connect_timeout",
		kind: duration({ minMs: 10, maxMs: 60_000 }),
		default: 1000,
		commands,
		help: "Maximum time to connect to a node; then another one is tried.",
	}),
	edgeIdleTimeoutMs: option({
		flag: "edge-idle-timeout",
		key: "idle_timeout",
		kind: duration({ minMs: 100, maxMs: 86_400_000, zero: true }),
		default: 300_000,
		commands,
		help: "A connection on which nothing passes in either direction for this long is closed. Nodes ping their clients more often. 0 = never.",
	}),
	edgeCheckIntervalMs: option({
		flag: "check-interval",
		key: "check_interval",
		kind: duration({ minMs: 50, maxMs: 600_000 }),
		default: 2000,
		commands,
		help: "How often the edge asks each node for /health.",
	}),
	edgeCheckTimeoutMs: option({
		flag: "check-timeout",
		key: "check_timeout",
		kind: duration({ minMs: 50, maxMs: 60_000 }),
		default: 1000,
		commands,
		help: "Maximum time for the answer; a node that misses two in a row gets no new clients.",
	}),
	edgeDrainTimeoutMs: option({
		flag: "drain-timeout",
		key: "drain_timeout",
		kind: duration({ minMs: 1, maxMs: 86_400_000 }),
		default: 30_000,
		commands,
		live: true,
		help: "How long existing connections may go on after the signal to stop; what is left then is cut off.",
	}),
} as const;
