import { affinitySourceText } from "../../../units/affinity-source.ts";
import { weightText } from "../../../units/weight.ts";
import { address, choice, countOrAuto, cpuList, integer, list, size, text, toggle } from "../../kinds.ts";
import { option, withProcesses } from "../../option.ts";

/** Section `cluster`. */
export const clusterOptions = {
	shards: option({
		flag: "shards",
		key: "shards",
		kind: countOrAuto({ max: 64 }),
		default: 0,
		commands: withProcesses,
		help: "Number of shard processes, or of those of a gateway; 0 = one per available CPU (affinity and cgroup quota); auto = the same, and as many as that changes to while it runs (shards only; a gateway refuses it). A gateway for which this is not set is one process.",
	}),
	shardsMin: option({
		flag: "shards-min",
		key: "shards_min",
		kind: integer({ min: 1, max: 64 }),
		default: 1,
		commands: ["multi"],
		live: true,
		help: "Least number of shards with --shards auto, also when there are fewer CPUs. Does not bind a number given by shardcast scale.",
	}),
	shardsMax: option({
		flag: "shards-max",
		key: "shards_max",
		kind: integer({ min: 1, max: 64 }),
		default: 64,
		commands: ["multi"],
		live: true,
		help: "Greatest number of shards with --shards auto, also when there are more CPUs. Does not bind a number given by shardcast scale.",
	}),
	basePort: option({
		flag: "base-port",
		key: "base_port",
		kind: integer({ min: 1, max: 65_535 }),
		default: 3002,
		commands: ["multi"],
		help: "Port of shard 0; shard i listens on this port plus i.",
	}),
	host: option({
		flag: "host",
		key: "host",
		kind: text({ argument: "<address>", matches: /^[\w.:-]+$/, expected: "a host name or an IP address" }),
		default: "127.0.0.1",
		commands: ["multi"],
		help: "Address on which the shards listen.",
	}),
	cpus: option({
		flag: "cpus",
		key: "cpus",
		kind: cpuList(),
		default: [],
		commands: withProcesses,
		help: "CPUs to pin these processes to, such as 0,1 or 0-3; none = all available CPUs.",
	}),
	numa: option({
		flag: "numa",
		key: "numa",
		kind: integer({ min: -1, max: 255 }),
		default: -1,
		commands: withProcesses,
		help: "Use only the CPUs and memory of this NUMA node (needs numactl); -1 = pin to CPUs only.",
	}),
	rebalanceShards: option({
		flag: "rebalance-shards",
		key: "rebalance_shards",
		kind: toggle(),
		default: true,
		commands: ["multi"],
		live: true,
		help: "When a shard is back after a crash, after a rolling restart, and when shards are added, clients of the fullest shards are asked to connect again, at most --rebalance-rate per second, until no shard has more than 5 % above its share.",
	}),
	clusterDirectory: option({
		flag: "cluster-directory",
		key: "directory",
		kind: text({ argument: "<path>", matches: /^\//, expected: "an absolute path" }),
		default: "/dev/shm",
		commands: withProcesses,
		help: "Folder for the shared memory files; it must be on a memory file system.",
	}),
	historyMemoryBytes: option({
		flag: "history-memory",
		key: "history_memory",
		kind: size({ minBytes: 524_288, maxBytes: 8_589_934_592 }),
		default: 33_554_432,
		help: "Memory for the history of all channels, allocated as it fills. When it is full, the oldest publications are removed.",
	}),
	historyChannels: option({
		flag: "history-channels",
		key: "history_channels",
		kind: integer({ min: 0, max: 10_000_000 }),
		default: 0,
		help: "Channels whose offset and epoch are kept, 180 bytes of --history-memory each. When there are more, the least recently used lose their history and epoch. 0 = one per 2 KiB.",
	}),
	idempotencyKeys: option({
		flag: "idempotency-keys",
		key: "idempotency_keys",
		kind: integer({ min: 0, max: 100_000_000 }),
		default: 0,
		help: "Idempotency keys that are remembered at once, 45 bytes of --history-memory each. When there are more, publications with a new key are refused until some expire. 0 = one per 256 bytes.",
	}),
} as const;

/** Section `balancer`. */
export const balancerOptions = {
	lbAddr: option({
		flag: "lb-addr",
		key: "address",
		kind: address({ examplePort: 3005 }),
		default: ":3005",
		commands: ["multi"],
		help: "Address of the balancer, such as :3005 or 127.0.0.1:3005; port 0 = a free port.",
	}),
	lbMode: option({
		flag: "lb-mode",
		key: "mode",
		kind: choice(["auto", "handoff", "proxy"]),
		default: "auto",
		commands: ["multi"],
		help: "How connections reach a shard: handoff passes the descriptor, proxy copies the bytes; auto = handoff where possible.",
	}),
	lbStrategy: option({
		flag: "lb-strategy",
		key: "strategy",
		kind: choice(["least_connections", "round_robin", "random", "weighted", "ip_hash", "adaptive"]),
		default: "least_connections",
		commands: ["multi"],
		live: true,
		help: "How the balancer chooses a shard for a client: see the guide to sharding.",
	}),
	lbWeights: option({
		flag: "lb-weights",
		key: "weights",
		kind: list({ argument: "<list>", item: weightText }),
		default: [],
		commands: ["multi"],
		live: true,
		help: "Weights of shard 0, 1, …, such as 2,1,1: their shares of new clients, with every strategy but round_robin. Shards without one have 1.",
	}),
	lbAffinity: option({
		flag: "lb-affinity",
		key: "affinity",
		kind: choice(["none", "user", "connection", "hash"]),
		default: "none",
		commands: ["multi"],
		live: true,
		help: "Which clients the balancer sends to the same shard: those of a user, those with the same connection id, or those with the same id of either kind, else with the same address (hash). Without an id in its request, a client gets a shard by --lb-strategy.",
	}),
	lbAffinityFrom: option({
		flag: "lb-affinity-from",
		key: "affinity_from",
		kind: list({ argument: "<list>", item: affinitySourceText }),
		default: [],
		commands: ["multi"],
		live: true,
		help: "Where in a request --lb-affinity finds the id; the first that is there counts: token (the user of a connection token, which is not verified for this), query:<name>, cookie:<name>, header:<name>. None = token,query:user for user, query:connection for connection, all three for hash.",
	}),
} as const;

/** Section `single`. */
export const singleOptions = {
	addr: option({
		flag: "addr",
		key: "address",
		kind: address({ examplePort: 9002 }),
		default: ":9002",
		commands: ["single"],
		help: "Address of the server, such as :9002.",
	}),
} as const;
