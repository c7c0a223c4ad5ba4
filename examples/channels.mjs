// Two clients of the npm package `centrifuge` on two shards: publications, history, presence, and recovery when a shard dies.
// Starts a cluster, prints what happens, stops it.
//   node examples/channels.mjs [port of the balancer; the shards take those behind it]
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Centrifuge } from "centrifuge";
import { WebSocket } from "ws";

const port = Number(process.argv[2] ?? 3105);
const address = `127.0.0.1:${port}`;
const channel = "chat:room";
const startedMs = performance.now();
const say = (who, what) => console.log(`${((performance.now() - startedMs) / 1000).toFixed(2).padStart(6)} s  ${who.padEnd(7)}  ${what}`);

const directory = mkdtempSync(join(tmpdir(), "shardcast-channels-"));
const config = join(directory, "shardcast.yaml");
// For a demonstration: every client has every permission. See docs/reference/channels.md for tokens and permissions.
writeFileSync(
	config,
	`client: { insecure: true }
channel:
  namespaces:
    - { name: chat, presence: true, history_size: 100, history_ttl: 5m, force_recovery: true }
`,
);
const cluster = spawn(
	process.execPath,
	[
		join(import.meta.dirname, "../cli.js"),
		"multi",
		"--shards",
		"2",
		"--lb-addr",
		address,
		"--base-port",
		String(port + 1),
		"--config",
		config,
		"--log-level",
		"error",
	],
	{ stdio: ["ignore", "ignore", "inherit"] },
);
const ended = once(cluster, "exit");

const get = async (path) => (await fetch(`http://${address}${path}`)).json();

async function until(what, done, deadlineMs = 20_000) {
	const endsMs = performance.now() + deadlineMs;
	while (!(await done().catch(() => false))) {
		if (cluster.exitCode !== null) throw new Error("the cluster has ended");
		if (performance.now() > endsMs) throw new Error(`${what} has not happened in ${deadlineMs} ms`);
		await sleep(20);
	}
}

/** A client that prints all of its events. */
function client(name) {
	const centrifuge = new Centrifuge(`ws://${address}/connection/websocket`, {
		websocket: WebSocket,
		name,
		minReconnectDelay: 1000,
		maxReconnectDelay: 1500,
	});
	centrifuge.on("connected", () => say(name, "connected"));
	centrifuge.on("connecting", ({ code, reason }) => code !== 0 && say(name, `connection lost: ${code} ${reason}; connecting again`));
	const subscription = centrifuge.newSubscription(channel, { minResubscribeDelay: 50 });
	const received = [];
	subscription.on("subscribed", ({ wasRecovering, recovered }) => {
		// What it missed follows as publications.
		say(name, wasRecovering ? `subscribed again, recovered: ${recovered}` : `subscribed to ${channel}`);
	});
	subscription.on("publication", ({ data, offset }) => {
		received.push(data);
		say(name, `got offset ${offset}: ${JSON.stringify(data)}`);
	});
	subscription.subscribe();
	centrifuge.connect();
	return { name, centrifuge, subscription, received };
}

const clients = [];
try {
	await until("the start of both shards", async () => (await fetch(`http://${address}/ready`)).ok);
	say("cluster", "2 shards serve");
	for (const name of ["alice", "bob"]) {
		clients.push(client(name));
		await clients.at(-1).subscription.ready(10_000);
	}
	const shards = async () => (await get("/health")).shards;
	// The number of connections is reported with a small delay.
	await until("one client on each shard", async () => (await shards()).every(({ connections }) => connections === 1));
	say("cluster", "1 client on each shard");

	const [alice, bob] = clients;
	await alice.subscription.publish({ text: "hello from alice" });
	await bob.subscription.publish({ text: "hello from bob" });
	const all = (count) => until(`publication ${count}`, async () => clients.every(({ received }) => received.length >= count));
	await all(2);
	const { numClients } = await alice.subscription.presenceStats();
	say("alice", `presence: ${numClients} clients`);
	const { publications, offset } = await bob.subscription.history({ limit: 10 });
	say("bob", `history: ${publications.length} publications, the last has offset ${offset}`);

	const [{ pid, restarts }] = await shards();
	say("cluster", `shard 0 is killed (SIGKILL, pid ${pid})`);
	process.kill(pid, "SIGKILL");
	for (let number = 1; number <= 3; number++) {
		const response = await fetch(`http://${address}/api/publish`, {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ channel, data: { text: `during the failure, ${number}` }, idempotency_key: String(number) }),
		});
		say("http", `published: ${response.status} ${(await response.text()).trim()}`);
	}
	await all(5);
	await until("the restart of shard 0", async () =>
		(await shards()).every((shard, id) => shard.status === "healthy" && (id > 0 || shard.restarts > restarts)),
	);
	say("cluster", "shard 0 serves again");
	await alice.subscription.publish({ text: "still here" });
	await all(6);
	const texts = ({ received }) => received.map(({ text }) => text).join(" | ");
	const isSame = texts(alice) === texts(bob) && alice.received.length === 6;
	say("cluster", isSame ? "both clients got the same 6 publications in the same order" : `DIFFERENT: ${texts(alice)} / ${texts(bob)}`);
	process.exitCode = isSame ? 0 : 1;
} finally {
	for (const { centrifuge } of clients) centrifuge.disconnect();
	cluster.kill("SIGTERM");
	await ended;
	rmSync(directory, { recursive: true, force: true });
}
