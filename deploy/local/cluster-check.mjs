// The check of `cluster.mjs test`: each node and the outbox publish, and every client behind HAProxy must get each message once.
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { WebSocket } from "ws";

const clientCount = 30;
const messagesEach = 100;
const deadlineMs = 15_000;

/** @returns a table, and what is wrong in words. */
export async function check({ addresses, postgresPassword }) {
	const channel = `local-cluster-test-${process.pid}`;
	const clients = [];
	const database = new pg.Client({ connectionString: `postgres://postgres:${postgresPassword}@${addresses.postgres}/postgres` });
	try {
		await database.connect();
		const before = await openedAt(addresses.nodes);
		for (let index = 0; index < clientCount; index++) clients.push(await connect(addresses.haproxy, channel));
		const sources = Object.entries(addresses.nodes).map(([id, address]) => [id, (data) => publish(address, channel, data)]);
		const insert = "INSERT INTO shardcast.outbox (channel, data) VALUES ($1, $2)";
		sources.push(["outbox", (data) => database.query(insert, [channel, JSON.stringify(data)])]);
		const rows = [];
		for (const [from, send] of sources) {
			for (let number = 0; number < messagesEach; number++) await send({ from, number, sentMs: performance.now() });
			rows.push(await count(clients, from));
		}
		const after = await openedAt(addresses.nodes);
		const counts = Object.fromEntries(Object.keys(after).map((id) => [id, after[id] - before[id]]));
		return report(rows, counts);
	} finally {
		for (const { socket } of clients) socket.terminate();
		await database.end();
	}
}

/** WebSockets that each node has opened. Its connections in /health also count those of this program's requests. */
async function openedAt(nodes) {
	const counts = {};
	for (const [id, address] of Object.entries(nodes)) {
		const answer = await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(2000) });
		const shards = (await answer.text()).matchAll(/^shardcast_websockets_opened_total\{.*\} (\d+)$/gm);
		counts[id] = [...shards].reduce((sum, [, opened]) => sum + Number(opened), 0);
	}
	return counts;
}

async function connect(address, channel) {
	const socket = new WebSocket(`ws://${address}/?channels=${channel}`);
	const client = { socket, delaysMs: new Map(), seen: new Map() };
	socket.on("message", (text) => {
		const { from, number, sentMs } = JSON.parse(text);
		if (from === undefined) return;
		const numbers = client.seen.get(from) ?? [];
		client.seen.set(from, numbers);
		numbers.push(number);
		client.delaysMs.set(`${from} ${number}`, performance.now() - sentMs);
	});
	await once(socket, "open");
	return client;
}

async function publish(address, channel, data) {
	const body = JSON.stringify({ channel, data });
	const answer = await fetch(`http://${address}/api/publish`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
	if (!answer.ok) throw new Error(`${address} refused a publication: ${answer.status} ${await answer.text()}`);
	await answer.arrayBuffer();
}

/** Waits until every client has all of a source, or the deadline. */
async function count(clients, from) {
	const got = ({ seen }) => seen.get(from) ?? [];
	const different = (client) => new Set(got(client)).size;
	const endMs = performance.now() + deadlineMs;
	while (performance.now() < endMs && clients.some((client) => different(client) < messagesEach)) await pause(20);
	const received = clients.reduce((sum, client) => sum + got(client).length, 0);
	const distinct = clients.reduce((sum, client) => sum + different(client), 0);
	const delays = clients.flatMap(({ delaysMs }) => [...delaysMs].filter(([key]) => key.startsWith(`${from} `)).map(([, ms]) => ms));
	delays.sort((a, b) => a - b);
	const quantile = (share) => (delays[Math.floor(share * (delays.length - 1))] ?? Number.NaN).toFixed(1);
	return {
		from,
		published: messagesEach,
		received,
		missing: clients.length * messagesEach - distinct,
		doubled: received - distinct,
		"p50 ms": quantile(0.5),
		"p99 ms": quantile(0.99),
	};
}

function report(rows, counts) {
	const full = rows.map(({ from, ...rest }) => ({ from, clients: counts[from] ?? "", ...rest }));
	const problems = [
		...Object.keys(counts)
			.filter((id) => counts[id] === 0)
			.map((id) => `HAProxy sent no client to ${id}`),
		...rows.filter(({ missing }) => missing > 0).map(({ from, missing }) => `${missing} messages of ${from} are missing`),
		...rows.filter(({ doubled }) => doubled > 0).map(({ from, doubled }) => `${doubled} messages of ${from} came twice`),
	];
	const lines = [Object.keys(full[0]), ...full.map((row) => Object.values(row).map(String))];
	const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
	const table = lines.map((line) =>
		line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join("  "),
	);
	return { table: table.join("\n"), problems };
}
