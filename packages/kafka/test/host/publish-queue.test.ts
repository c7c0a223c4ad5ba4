import { describe, expect, it } from "vitest";
import { answerMsMax, PublishQueue } from "../../src/host/publish-queue.ts";
import type { OutgoingMessage } from "../../src/ingest-messages.ts";

class Rig {
	nowMs = 1000;
	taking = true;
	unanswered = 0;
	readonly posted: OutgoingMessage[] = [];
	readonly answers: (string | null)[] = [];
	readonly queue = new PublishQueue({
		post: (messages) => {
			if (this.taking) this.posted.push(...messages);
			return this.taking;
		},
		onUnanswered: (count) => {
			this.unanswered += count;
		},
		nowMs: () => this.nowMs,
	});

	send(sender = "", bytes = 10): boolean {
		return this.queue.send({ kind: 1, channels: [], payload: new Uint8Array(bytes), urgent: false, sender }, (error) =>
			this.answers.push(error),
		);
	}
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("PublishQueue", () => {
	it("sends what comes in one turn together, and passes each answer on once", async () => {
		const rig = new Rig();
		for (let sent = 0; sent < 3; sent++) expect(rig.send()).toBe(true);
		expect(rig.posted).toEqual([]);
		await turn();
		const ids = rig.posted.map(({ id }) => id);
		expect(ids.length).toBe(3);
		for (const id of [...ids, ...ids]) rig.queue.settle(id, id === ids[1] ? "refused" : null);
		expect(rig.answers).toEqual([null, "refused", null]);
		expect(rig.queue.waiting).toBe(0);
	});

	it("keeps a message as it was when it was sent, also when the caller uses its buffer again at once", async () => {
		const rig = new Rig();
		const reused = Buffer.from("hello");
		rig.queue.send({ kind: 1, channels: [], payload: reused, urgent: false, sender: "" }, () => {});
		reused.fill("X");
		await turn();
		expect(Buffer.from(rig.posted[0]!.payload).toString()).toBe("hello");
		// Posting to the worker clones all the memory behind a view, so the copy has its own memory.
		expect(rig.posted[0]!.payload.buffer.byteLength).toBe(5);
		rig.queue.fail("over");
	});

	it("answers everybody within the time, whatever Kafka does, and does not send what is too late", async () => {
		const rig = new Rig();
		rig.taking = false;
		rig.send();
		rig.nowMs += answerMsMax / 2;
		rig.send();
		await turn();
		rig.nowMs += answerMsMax / 2;
		rig.queue.expire();
		expect(rig.answers).toEqual(["no answer within 15 s"]);
		rig.taking = true;
		rig.queue.resume();
		await turn();
		expect(rig.posted.length).toBe(1);
		rig.nowMs += answerMsMax;
		rig.queue.expire();
		expect(rig.answers.length).toBe(2);
		expect(rig.unanswered).toBe(2);
		// The answer comes after all: nobody is told twice.
		rig.queue.settle(rig.posted[0]!.id, null);
		expect(rig.answers.length).toBe(2);
	});

	it("keeps what comes while there is nobody to take it", async () => {
		const rig = new Rig();
		rig.taking = false;
		rig.send();
		await turn();
		rig.send();
		await turn();
		expect(rig.posted).toEqual([]);
		rig.taking = true;
		rig.queue.resume();
		await turn();
		expect(rig.posted.length).toBe(2);
		rig.queue.resume();
		await turn();
		expect(rig.posted.length).toBe(2);
		rig.queue.fail("over");
	});

	it("is bounded in messages and bytes, and gives no client more than its share", () => {
		const rig = new Rig();
		let flood = 0;
		while (rig.send("flooder")) flood++;
		expect(flood).toBe(2048);
		expect(rig.send("other")).toBe(true);
		expect(rig.send("large", 3 * 1024 * 1024)).toBe(true);
		expect(rig.send("large", 2 * 1024 * 1024)).toBe(false);
		let rest = 0;
		while (rig.send()) rest++;
		expect(flood + 2 + rest).toBe(8192);
		expect(rig.send("other")).toBe(false);
		rig.queue.fail("over");
		expect(rig.answers.length).toBe(8192);
		expect(rig.send("flooder")).toBe(true);
		rig.queue.fail("over");
	});

	it("counts the names of channels, and takes the longest message when nothing else waits", async () => {
		const rig = new Rig();
		const names = Array.from({ length: 32 }, (_, index) => `${index}`.padStart(255, "x"));
		const send = (sender: string, bytes: number, channels: readonly string[]) =>
			rig.queue.send({ kind: 1, channels, payload: new Uint8Array(bytes), urgent: false, sender }, () => {});
		let taken = 0;
		while (send("", 0, names)) taken++;
		expect(taken * 32 * 255).toBeLessThan(16 * 1024 * 1024);
		rig.queue.fail("over");
		expect(send("client", 16 * 1024 * 1024, [])).toBe(true);
		expect(send("client", 1, [])).toBe(false);
		rig.queue.fail("over");
	});

	it("refuses all once it is closed; what waits is still answered", async () => {
		const rig = new Rig();
		rig.send();
		await turn();
		rig.queue.close();
		expect(rig.send()).toBe(false);
		rig.queue.settle(rig.posted[0]!.id, null);
		expect(rig.answers).toEqual([null]);
	});
});
