import { encodeFrame, Opcode, RawClient, upgradeRequest } from "@shardcast/testkit";
import { bareConnection, byteByByte } from "../clients/bare.ts";
import type { FaultKind } from "../fault.ts";
import type { Rig } from "../rig.ts";

const once = () => ({ target: 0, forMs: 0, seed: 0, story: "" });
const comers = 20;
/** The cluster's --head-timeout is 2 s. */
const refusedWithinMs = 15_000;
const arrivesWithinMs = 20_000;
const key = "dGhlIHNhbXBsZSBub25jZQ==";

export const slowHeads: FaultKind = {
	name: "slow-heads",
	help: "20 clients send their request head a byte every 100 ms: each must be refused after --head-timeout",
	isShort: true,
	draw: once,
	lacks: () => null,
	async inject(rig) {
		const all = Array.from({ length: comers }, () => bareConnection(rig));
		const head = upgradeRequest("/", "faults", key);
		try {
			const writing = Promise.all(all.map((bare) => byteByByte(rig, bare, head, 100)));
			const refused = await rig.until(() => all.every((bare) => bare.isClosed()), refusedWithinMs);
			if (!refused) rig.tally.add("leaked", "a slow head is not refused", all.filter((bare) => !bare.isClosed()).length);
			const wrong = all.find((bare) => bare.received() !== "" && !bare.received().startsWith("HTTP/1.1 408"));
			if (wrong !== undefined) rig.tally.add("refused", `a slow head got ${wrong.received().slice(0, 60)}`);
			for (const { socket } of all) socket.destroy();
			await writing;
		} finally {
			for (const { socket } of all) socket.destroy();
		}
	},
};

export const slowBodies: FaultKind = {
	name: "slow-bodies",
	help: "20 publishers send their body a byte every 20 ms: each is served",
	isShort: true,
	draw: once,
	lacks: () => null,
	async inject(rig) {
		const body = JSON.stringify({ channel: "kept:slow", data: "slowly" });
		const head = `POST /api/publish HTTP/1.1\r\nHost: faults\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
		const all = Array.from({ length: comers }, () => bareConnection(rig));
		try {
			for (const { socket } of all) socket.write(head);
			await Promise.all(all.map((bare) => byteByByte(rig, bare, Buffer.from(body), 20)));
			const served = (bare: (typeof all)[number]) => bare.received().startsWith("HTTP/1.1 200");
			if (!(await rig.until(() => all.every(served), arrivesWithinMs))) {
				const other = all.find((bare) => !served(bare))!;
				rig.tally.add(
					"refused",
					`a slow body got ${JSON.stringify(other.received().slice(0, 80))}`,
					all.filter((bare) => !served(bare)).length,
				);
			}
		} finally {
			for (const { socket } of all) socket.destroy();
		}
	},
};

/** Head and frames, each byte by itself, faster than --head-timeout. */
export const oneByteWrites: FaultKind = {
	name: "one-byte-writes",
	help: "a raw client sends its head and its messages in writes of one byte each: all messages arrive",
	isShort: true,
	draw: once,
	lacks: () => null,
	inject: oneByOne,
};

async function oneByOne(rig: Rig): Promise<void> {
	const listener = await RawClient.open(rig.subject.cluster.url);
	const bare = bareConnection(rig);
	try {
		await byteByByte(rig, bare, upgradeRequest("/", "faults", key), 2);
		if (!(await rig.until(() => bare.received().includes("\r\n\r\n"), arrivesWithinMs)) || !bare.received().startsWith("HTTP/1.1 101")) {
			rig.tally.add("refused", `a head in writes of one byte got ${JSON.stringify(bare.received().slice(0, 80))}`);
			return;
		}
		const name = `byte-${Math.random().toString(36).slice(2)}`;
		const texts = Array.from({ length: 5 }, (_, index) => `${name}-${index}`);
		for (const text of texts) await byteByByte(rig, bare, encodeFrame(Opcode.text, Buffer.from(text), { masked: true }), 1);
		const got = () => listener.texts().filter((text) => text.startsWith(name));
		await rig.until(() => got().length >= texts.length, arrivesWithinMs);
		if (got().join() !== texts.join())
			rig.tally.add("lost", `of messages in writes of one byte came ${got().join()}`, texts.length - got().length);
	} finally {
		bare.socket.destroy();
		listener.socket.tcp.destroy();
	}
}
