import { parseArgs } from "node:util";
import { runBench } from "../support/report.ts";
import { benchProgram } from "../support/subject.ts";
import { commandsEach, dataBytes, measureCommands, publish, rpc } from "./commands.ts";
import { measureConnections } from "./connections-with-webhooks.ts";
import { connectClients, measureConnects } from "./connects.ts";
import { startBackend, startShard } from "./hook-cluster.ts";
import { makeTokens } from "./tokens.ts";

/**
 * What asking a backend and telling it costs a shard: connects, publications and calls through hooks, and connections with webhooks, against the
 * same without. The backend is a small node:http server whose CPU is not counted; but it runs on the same machine, as the clients do, so the CPU
 * of the server processes says more than the rates.
 */
const { rounds, connections } = numbersFrom(process.argv.slice(2), { rounds: 5, connections: 2_000 });
/** A shard that has just started needs several times the CPU. */
const warmups = Math.min(2, rounds - 1);
const publishers = Math.ceil(connections / 5);
const hook = { timeout: "20s" };

await benchProgram(async (ends) => {
	const backend = await startBackend();
	ends.push(backend.stop);
	const start = async (config: object) => {
		const subject = await startShard(config);
		ends.push(subject.stop);
		return subject;
	};
	const tokens = makeTokens();
	// Clients may come with a token or without.
	const open = { auth: { require: false }, client: { allow_anonymous_connect_without_token: true } };
	const token = { hmac_secret_key: tokens.hmacSecret, rsa_public_key: tokens.rsaPublicKey };
	const plain = await start({ ...open, client: { ...open.client, token } });
	const asking = await start({
		client: { proxy: { connect: { ...hook, enabled: true, endpoint: `${backend.url}/connect` } } },
		channel: {
			proxy: { publish: { ...hook, endpoint: `${backend.url}/publish` } },
			namespaces: [
				{ name: "plain", allow_publish_for_client: true },
				{ name: "asked", publish_proxy_enabled: true },
			],
		},
		rpc: { proxy: { ...hook, endpoint: `${backend.url}/rpc` }, without_namespace: { proxy_enabled: true } },
	});
	const webhook = { name: "bench", endpoint: `${backend.url}/events`, secret: tokens.hmacSecret, events: ["connect", "disconnect"] };
	const telling = await start({ ...open, client: { ...open.client, token }, webhooks: { targets: [webhook] } });
	await runBench({
		name: "hooks-webhooks",
		rounds,
		warmups,
		figures: {
			perSecond: { unit: "connections/s", better: "higher", help: "connected and disconnected" },
			cpuUsPerConnection: { unit: "µs", better: "lower", help: "CPU of all server processes per connection, two events included" },
		},
		baseline: "off",
		variants: {
			off: () => measureConnections(plain, connections, null),
			on: () => measureConnections(telling, connections, backend),
		},
		setup: { connections, shards: 1 },
	});
	console.log("");

	await runBench({
		name: "hooks-connect",
		rounds,
		warmups,
		figures: {
			perSecond: { unit: "connects/s", better: "higher", help: "the clients and the backend share the machine" },
			cpuUsPerConnect: { unit: "µs", better: "lower", help: "CPU of all server processes: WebSocket, connect command and reply" },
		},
		baseline: "open",
		variants: {
			open: () => measureConnects(plain, connections),
			hs256: () => measureConnects(plain, connections, tokens.hs256),
			rs256: () => measureConnects(plain, connections, tokens.rs256),
			hook: () => measureConnects(asking, connections),
		},
		setup: { connections, shards: 1 },
	});
	console.log("");

	const clients = await connectClients(asking, publishers);
	ends.push(() => clients.close());
	const commands = (one: () => string, reply: "publish" | "rpc") => () => measureCommands(asking, clients, publishers, one, reply);
	await runBench({
		name: "hooks-commands",
		rounds,
		warmups,
		figures: {
			perSecond: { unit: "commands/s", better: "higher", help: "the clients and the backend share the machine" },
			cpuUsPerCommand: { unit: "µs", better: "lower", help: "CPU of all server processes per command" },
		},
		baseline: "publish",
		variants: {
			publish: commands(() => publish("plain:1"), "publish"),
			publishHook: commands(() => publish("asked:1"), "publish"),
			rpcHook: commands(rpc, "rpc"),
		},
		setup: { clients: publishers, commandsEach, dataBytes, shards: 1 },
	});
});

/** Whole numbers from 1; anything else ends the process with a clear line and exit status 2. */
function numbersFrom<Name extends string>(argv: readonly string[], usual: Readonly<Record<Name, number>>): Record<Name, number> {
	const names = Object.keys(usual) as Name[];
	try {
		const { values } = parseArgs({
			args: [...argv],
			options: {
				...Object.fromEntries(names.map((name) => [name, { type: "string" as const, default: String(usual[name]) }])),
				help: { type: "boolean", short: "h" },
			},
		});
		const given = values as Readonly<Record<string, string | boolean | undefined>>;
		if (given.help === true) {
			console.log(`usage: npm run bench:hooks -- ${names.map((name) => `[--${name} ${usual[name]}]`).join(" ")}`);
			process.exit(0);
		}
		return Object.fromEntries(names.map((name) => [name, wholeNumber(name, String(given[name]))])) as Record<Name, number>;
	} catch (error) {
		console.error(`bench: ${(error as Error).message}`);
		process.exit(2);
	}
}

function wholeNumber(name: string, text: string): number {
	const value = Number(text);
	if (!Number.isInteger(value) || value < 1 || value > 12_000)
		throw new RangeError(`--${name} ${text}: give a whole number from 1 to 12000`);
	return value;
}
