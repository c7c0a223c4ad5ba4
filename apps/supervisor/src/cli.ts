import { type CommandLineSpec, configKeys, keysOf } from "@shardcast/config";
import { adminCommands } from "./commands/admin.ts";
import { configCheck, configPrint } from "./commands/config.ts";
import { edge } from "./commands/edge.ts";
import { gateway } from "./commands/gateway.ts";
import { multi } from "./commands/multi.ts";
import { single } from "./commands/single.ts";
import { publicTokenKeys, secretTokenKeys } from "./commands/token-options.ts";
import { top } from "./commands/top.ts";
import { version } from "./version.ts";

export const commandLine: CommandLineSpec = {
	name: "shardcast",
	description: "WebSocket broadcast cluster: one pinned shard per core, a balancer that hands connections over, a bus in shared memory.",
	version,
	groups: { config: "Print or check the configuration.", token: "Create or check tokens of clients." },
	commands: [
		{
			name: "multi",
			summary: "Run a cluster: supervisor, balancer and shards.",
			example: "shardcast multi --shards 4 --lb-addr :3005 --allowed-origins https://example.com",
			options: keysOf("multi"),
			run: multi,
		},
		{
			name: "single",
			summary: "Run one shard in one process, without a balancer.",
			example: "shardcast single --addr 127.0.0.1:3000 --allowed-origins https://example.com",
			options: keysOf("single"),
			run: single,
		},
		{
			name: "edge",
			summary: "Pass clients on to several nodes, and choose one for each.",
			example: "shardcast edge --edge-addr :3010 --nodes 10.0.0.7:3005,10.0.0.8:3005 --select-strategy user_hash",
			options: keysOf("edge"),
			run: edge,
		},
		{
			name: "gateway",
			summary: "Connect WebSocket clients to TCP backends.",
			example: "shardcast gateway 3020 127.0.0.1:9001 127.0.0.1:9002 --allowed-origins https://example.com",
			options: keysOf("gateway"),
			defaults: { shards: 1 },
			arguments: [
				{
					name: "ws_port",
					option: "gatewayAddr",
					help: "Port or address for clients, such as 3020 or 127.0.0.1:3020.",
					spell: portAsAddress,
				},
				{ name: "host:port", option: "gatewayBackends", help: "TCP backends.", isRest: true },
			],
			run: gateway,
		},
		{
			name: "top",
			summary: "Show the live counters of a running cluster.",
			example: "shardcast top --once",
			options: ["clusterDirectory"],
			ownFlags: [
				{ name: "once", help: "Print the table once and exit; this is the default if the output is not a terminal." },
				{ name: "pid", argument: "<pid>", help: "PID of the supervisor of the cluster to show, if several run." },
			],
			run: top,
		},
		...adminCommands,
		{
			name: "doctor",
			summary: "Examine this machine for a cluster with these options, and say what to change; status 1 if there is a problem.",
			example: "shardcast doctor --config shardcast.yaml",
			options: keysOf("multi"),
			ownFlags: [{ name: "json", help: "Print the findings in JSON." }],
			run: async (input) => (await import("./commands/doctor.ts")).doctor(input),
		},
		{
			name: "config print",
			summary: "Print all options and where each value came from, as a config file without secrets.",
			example: "shardcast config print --config shardcast.yaml --shards 4",
			options: configKeys,
			ownFlags: [{ name: "json", help: "Print a config file in JSON, without where the values came from." }],
			run: configPrint,
		},
		{
			name: "token create",
			summary: "Sign a token with client.token.hmac_secret_key of the configuration, or with a private key, and print it.",
			example: "shardcast token create --config shardcast.yaml --user 42 --channels news,chat:team --expires 24h",
			options: publicTokenKeys(configKeys),
			hiddenOptions: secretTokenKeys(configKeys),
			ownFlags: [
				{ name: "user", argument: "<id>", help: "The user; without it the token is for an anonymous one." },
				{ name: "channel", argument: "<name>", help: "Make a subscription token for this channel." },
				{ name: "client", argument: "<id>", help: "The only client that may use the subscription token." },
				{ name: "channels", argument: "<list>", help: "Channels that the connection token subscribes to, with commas between them." },
				{ name: "info", argument: "<json>", help: "What others see about the client." },
				{ name: "expires", argument: "<duration>", help: "How long it is valid; 0 = for ever (default: 1h)." },
				{ name: "claims", argument: "<json>", help: "More claims, as an object; they take precedence." },
				{ name: "private-key", argument: "<file>", help: "Sign with this key, in PEM (RSA, EC or Ed25519), instead of the secret." },
				{ name: "kid", argument: "<id>", help: "The id of the key in a key set." },
			],
			run: async (input) => (await import("./commands/token.ts")).tokenCreate(input),
		},
		{
			name: "token check",
			summary: "Read a token from stdin, print its claims, and say whether it is valid here, or why not (status 1).",
			example: "shardcast token create --config shardcast.yaml --user 42 | shardcast token check --config shardcast.yaml",
			options: publicTokenKeys(configKeys),
			hiddenOptions: secretTokenKeys(configKeys),
			run: async (input) => (await import("./commands/token.ts")).tokenCheck(input),
		},
		{
			name: "config check",
			summary: "Check all options without starting anything.",
			example: "shardcast config check --config shardcast.yaml",
			options: configKeys,
			run: configCheck,
		},
	],
};

/** A port alone, as the address of all interfaces. */
function portAsAddress(text: string): string {
	return /^\d+$/.test(text) ? `:${text}` : text;
}
