import type { Position } from "@shardcast/channel-log";
import { describe, expect, it } from "vitest";
import { Notices } from "../../src/redis/notices.ts";

const at = (offset: number): Position => ({ offset, epoch: "e" });

function start() {
	const clock = { nowMs: 100_000 };
	const clients = { version: 0, wants: "" };
	const sent: string[] = [];
	const wanted: string[] = [];
	const notices = new Notices({
		records: {
			send: (_type, slot, about) => {
				// Only then: the longest test sends 10,000, and an expectation takes longer than all the rest.
				if (slot !== null) expect.fail(`to shard ${slot}, not to every shard`);
				sent.push((about as readonly (readonly [string, Position])[]).map(([name, { offset }]) => `${name}@${offset}`).join(" "));
				return true;
			},
		},
		listeners: { want: (channel) => channel === clients.wants, version: () => clients.version },
		want: (channel, { offset }) => wanted.push(`${channel} behind ${offset}`),
		nowMs: () => clock.nowMs,
	});
	return { clock, clients, notices, wanted, takeSent: () => sent.splice(0) };
}

describe("Notices", () => {
	it("a publication to a channel is announced at once, and then every 10 s", () => {
		const { clock, notices, takeSent } = start();
		notices.published("a", at(5));
		notices.published("a", at(6));
		notices.published("b", at(1));
		expect(takeSent()).toEqual(["a@5", "b@1"]);
		clock.nowMs += 10_000;
		notices.published("a", at(7));
		expect(takeSent()).toEqual(["a@7"]);
	});

	it("shards with clients for the channel follow it from the announced publication on", () => {
		const { clients, notices, wanted } = start();
		clients.wants = "a";
		notices.received([
			["a", at(5)],
			["b", at(5)],
		]);
		expect(wanted).toEqual(["a behind 4"]);
	});

	it("when such clients connect, publishers are asked to announce again, at most every 200 ms", () => {
		const { clock, clients, notices, takeSent } = start();
		notices.tick();
		expect(takeSent()).toEqual([]);
		clients.version = 1;
		notices.tick();
		expect(takeSent(), "an empty list").toEqual([""]);
		clients.version = 2;
		notices.tick();
		expect(takeSent()).toEqual([]);
		clock.nowMs += 200;
		notices.tick();
		expect(takeSent()).toEqual([""]);
		notices.published("a", at(1));
		notices.received([]);
		notices.published("a", at(2));
		expect(takeSent()).toEqual(["a@1", "a@2"]);
	});

	it("remembers 10,000 channels", () => {
		const { notices, takeSent } = start();
		for (let index = 0; index <= 10_000; index++) notices.published(`c${index}`, at(1));
		takeSent();
		notices.published("c1", at(2));
		notices.published("c0", at(2));
		expect(takeSent(), "only the oldest was forgotten").toEqual(["c0@2"]);
	});
});
