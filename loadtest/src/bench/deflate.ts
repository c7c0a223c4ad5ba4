import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { postJson, Scrape, waitFor } from "@shardcast/testkit";
import { roundsFrom, runBench } from "./support/report.ts";
import { benchProgram, benchShards, type Subject, startBenchCluster } from "./support/subject.ts";

/**
 * What permessage-deflate costs the server, and what it saves: the same messages to the same number of clients, which offer it to a server that
 * takes the offer and to one that does not. The clients count bytes and inflate nothing, so they take little of the machine.
 */
const clients = 500;
const messages = 100;
/** JSON as a market feed has it: about 1 KiB. */
const message = JSON.stringify(
	Array.from({ length: 12 }, (_, index) => ({
		symbol: `SYM${index}`,
		bid: 101.25 + index,
		ask: 101.5 + index,
		size: 100 * index,
		venue: "XNYS",
	})),
);

const rounds = roundsFrom(process.argv.slice(2), 3);

await benchProgram(async (ends) => {
	const start = async (flags: readonly string[]) => {
		const subject = await startBenchCluster("handoff", flags);
		ends.push(() => subject.stop());
		return subject;
	};
	const off = await start([]);
	const on = await start(["--websocket-compression"]);
	await runBench({
		name: "deflate",
		rounds,
		figures: {
			cpuUs: { unit: "µs", better: "lower", help: "CPU of all server processes per message and client" },
			wireBytes: { unit: "B", better: "lower", help: "bytes that a client received per message" },
		},
		baseline: "off",
		variants: { off: () => measure(off, false), on: () => measure(on, true) },
		setup: { clients, messages, bytes: message.length, shards: benchShards },
	});
});

/** @throws unless every client was sent every message. */
async function measure(subject: Subject, deflates: boolean): Promise<{ cpuUs: number; wireBytes: number }> {
	const sockets = await Promise.all(Array.from({ length: clients }, () => open(subject, deflates)));
	try {
		const received = () => sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
		const [bytesBefore, sentBefore, cpuBefore] = [received(), await deliveries(subject), subject.servers.cpuMs()];
		for (let n = 0; n < messages; n++) await postJson(`${subject.target.httpUrl}/api/publish`, { data: JSON.parse(message) });
		await waitFor(async () => (await deliveries(subject)) - sentBefore >= clients * messages, {
			deadlineMs: 30_000,
			what: "all deliveries",
		});
		let last = -1;
		const isStill = (): boolean => {
			const before = last;
			last = received();
			return last === before;
		};
		await waitFor(isStill, { deadlineMs: 10_000, what: "the last bytes" });
		const count = (await deliveries(subject)) - sentBefore;
		if (count !== clients * messages) throw new Error(`${count} deliveries instead of ${clients * messages}`);
		return {
			cpuUs: ((subject.servers.cpuMs() - cpuBefore) * 1000) / count,
			wireBytes: (received() - bytesBefore) / count,
		};
	} finally {
		for (const socket of sockets) socket.destroy();
	}
}

async function deliveries({ target }: Subject): Promise<number> {
	return (await Scrape.of(target.httpUrl)).sum("shardcast_deliveries_total");
}

/** A WebSocket client that reads and discards all data. */
async function open({ target }: Subject, deflates: boolean): Promise<Socket> {
	const socket = connect(target.port, target.host);
	socket.write(
		`GET / HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
	);
	const [head] = (await once(socket, "data")) as [Buffer];
	const taken = /^sec-websocket-extensions: permessage-deflate/im.test(head.toString("latin1"));
	if (!head.toString("latin1").startsWith("HTTP/1.1 101") || taken !== deflates)
		throw new Error(`the server answered ${head.toString("latin1")}`);
	socket.resume();
	return socket;
}
