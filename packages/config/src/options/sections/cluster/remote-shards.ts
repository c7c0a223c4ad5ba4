import { remoteShardText } from "../../../units/edge-node.ts";
import { duration, integer, list, pemFile, text, toggle } from "../../kinds.ts";
import { option } from "../../option.ts";

const commands = ["multi"] as const;

/** Section `remote`: shards of other machines, to which the balancer passes clients on. */
export const remoteOptions = {
	remoteShards: option({
		flag: "remote-shards",
		key: "shards",
		kind: list({ argument: "<list>", item: remoteShardText }),
		default: [],
		commands,
		live: true,
		help: "Shards of other machines that get clients of this balancer, too, such as 10.0.0.7:3002,10.0.0.8:3005=4, where 4 is a weight and 0 means no new clients. The balancer then works in proxy mode.",
	}),
	remoteConnectTimeoutMs: option({
		flag: "remote-connect-timeout",
		key: "connect_timeout",
		kind: duration({ minMs: 10, maxMs: 60_000 }),
		default: 1000,
		commands,
		help: "Maximum time to connect to a remote shard; then another shard is tried.",
	}),
	remoteIdleTimeoutMs: option({
		flag: "remote-idle-timeout",
		key: "idle_timeout",
		kind: duration({ minMs: 100, maxMs: 86_400_000, zero: true }),
		default: 300_000,
		commands,
		help: "A connection to a remote shard on which nothing passes in either direction for this long is closed. Shards ping their clients more often. 0 = never.",
	}),
	remoteCheckIntervalMs: option({
		flag: "remote-check-interval",
		key: "check_interval",
		kind: duration({ minMs: 50, maxMs: 600_000 }),
		default: 2000,
		commands,
		help: "How often the balancer asks each remote shard for /health, less up to a tenth, at random.",
	}),
	remoteCheckTimeoutMs: option({
		flag: "remote-check-timeout",
		key: "check_timeout",
		kind: duration({ minMs: 50, maxMs: 60_000 }),
		default: 1000,
		commands,
		help: "Maximum time for the answer.",
	}),
	remoteCheckMisses: option({
		flag: "remote-check-misses",
		key: "check_misses",
		kind: integer({ min: 1, max: 100 }),
		default: 2,
		commands,
		help: "A remote shard that misses so many checks in a row gets no new clients, until it answers one.",
	}),
	remoteSendProxy: option({
		flag: "remote-send-proxy",
		key: "send_proxy",
		kind: toggle(),
		default: false,
		commands,
		help: "Begin each connection to a remote shard with a PROXY header, version 2, for machines that run with --proxy-protocol.",
	}),
	remoteTls: option({
		flag: "remote-tls",
		key: "tls.enabled",
		kind: toggle(),
		default: false,
		commands,
		help: "Connect to the remote shards with TLS, for machines that have a certificate (--tls-cert). All of them must have one; it is verified.",
	}),
	remoteTlsCa: option({
		flag: "remote-tls-ca",
		key: "tls.ca",
		kind: pemFile(),
		default: "",
		commands,
		help: "PEM file of the CA that signed the certificates of the remote shards; none = the CAs that Node trusts.",
	}),
	remoteTlsName: option({
		flag: "remote-tls-name",
		key: "tls.server_name",
		kind: text({
			argument: "<name>",
			matches: /^$|^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i,
			expected: "a server name, such as shards.example.com",
		}),
		default: "",
		commands,
		help: "Name that the certificates of the remote shards must have, such as shards.example.com; none = the host of each address.",
	}),
} as const;
