import { waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { streamWindowBytes } from "../../src/peers/bus-stream.ts";
import { StreamStep, writeStreamHead } from "../../src/peers/stream-record.ts";
import { seed } from "../support/frames.ts";
import { leavesNothing } from "../support/leaves-nothing.ts";
import { StreamsRig, type TestChannel, type TestEnd } from "../support/streams-rig.ts";

leavesNothing();
const within = (what: string) => ({ what, deadlineMs: 20_000 });

function randomOf(start: number): () => number {
	let state = start >>> 0 || 1;
	return () => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return state / 2 ** 32;
	};
}

describe("streams between processes", () => {
	it("carry bytes both ways, and end when both ends have ended them", async () => {
		const rig = new StreamsRig(2);
		await rig.meet();
		const near = rig.member(0).open(1, 7);
		await waitFor(() => rig.member(1).accepted.has("0 7"), within("it is accepted"));
		const far = rig.member(1).accepted.get("0 7")!;
		near.control.send(1000);
		near.data.send(100_000);
		far.data.send(5);
		await waitFor(() => far.control.received === 1000 && far.data.received === 100_000 && near.data.received === 5, within("all bytes"));
		near.data.send(3);
		near.data.stream!.end();
		await waitFor(() => far.data.endings.length === 1, within("the end"));
		expect(far.data.received).toBe(100_003);
		far.data.send(50_000);
		far.data.stream!.end();
		await waitFor(() => near.data.endings.length === 1, within("the other end"));
		expect(near.data.received).toBe(50_005);
		expect([near.data, far.data].map(({ endings, wrongAt }) => ({ endings, wrongAt }))).toEqual([
			{ endings: [true], wrongAt: -1 },
			{ endings: [true], wrongAt: -1 },
		]);
		expect(rig.member(0).streams.open).toBe(1);
		expect(rig.member(1).streams.open).toBe(1);
	});

	it("do not delay each other: one that is not taken stops at its window", async () => {
		const rig = new StreamsRig(2);
		await rig.meet();
		const [stuck, free] = [rig.member(0).open(1, 1), rig.member(0).open(1, 2)];
		rig.member(1).onAccepted = ({ control, data }) => {
			if (data.backendId !== 1) return;
			data.takes = () => false;
			control.takes = () => false;
		};
		stuck.data.send(2_000_000);
		free.data.send(2_000_000);
		await waitFor(() => rig.member(1).accepted.get("0 2")?.data.received === 2_000_000, within("the free one"));
		await waitFor(() => stuck.data.sent === streamWindowBytes, within("the window"));
		const far = rig.member(1).accepted.get("0 1")!.data;
		expect(stuck.data.sent).toBe(streamWindowBytes);
		expect(far.received).toBeLessThanOrEqual(32 * 1024);
		far.takes = () => true;
		far.stream!.resume();
		await waitFor(() => far.received === 2_000_000, within("the rest"));
		expect(far.wrongAt).toBe(-1);
	});

	it("keep what came before an orderly end for a sink that takes nothing at the moment", async () => {
		const rig = new StreamsRig(2);
		await rig.meet();
		rig.member(1).onAccepted = ({ data }) => {
			data.takes = () => false;
		};
		const near = rig.member(0).open(1, 1);
		near.data.send(200_000);
		near.data.stream!.end();
		await waitFor(() => near.data.sent === 200_000, within("all is sent"));
		const far = rig.member(1).accepted.get("0 1")!.data;
		await waitFor(() => far.received > 0, within("a first piece"));
		const { control } = rig.member(1).accepted.get("0 1")!;
		rig.kill(0);
		await waitFor(() => control.endings.length === 1, within("the other stream ends"));
		expect(control.endings).toEqual([false]);
		expect(far.endings).toEqual([]);
		far.takes = () => true;
		far.stream!.resume();
		expect({ received: far.received, endings: far.endings, wrongAt: far.wrongAt }).toEqual({
			received: 200_000,
			endings: [true],
			wrongAt: -1,
		});
	});

	it("are refused beyond the bound, and by a process that wants none", async () => {
		const rig = new StreamsRig(2);
		await rig.meet();
		const channels = Array.from({ length: 130 }, (_, index) => rig.member(0).open(1, index));
		await waitFor(() => channels.filter(({ data }) => data.endings.length > 0).length === 2, within("two are refused"));
		expect(rig.member(1).streams.counts.refused).toBe(2);
		expect(rig.member(0).streams.open).toBe(256);
		rig.member(0).isRefusing = true;
		const other = rig.member(1).open(0, 1);
		await waitFor(() => other.control.endings.length === 1 && other.data.endings.length === 1, within("it is refused"));
		expect(other.data.endings).toEqual([false]);
	});

	it("end when the process at the other end has gone, and the next one can be opened to", async () => {
		const rig = new StreamsRig(3);
		await rig.meet();
		const near = rig.member(0).open(1, 1);
		const other = rig.member(0).open(2, 1);
		near.data.send(10);
		await waitFor(() => rig.member(1).accepted.get("0 1")?.data.received === 10, within("bytes"));
		rig.kill(1);
		await waitFor(() => near.control.endings.length === 1 && near.data.endings.length === 1, within("both end"));
		expect([...near.control.endings, ...near.data.endings]).toEqual([false, false]);
		expect(rig.member(0).streams.isThere(1)).toBe(false);
		rig.start(1);
		await rig.meet();
		const again = rig.member(0).open(1, 1);
		again.data.send(100);
		other.data.send(100);
		await waitFor(() => rig.member(1).accepted.get("0 1")?.data.received === 100, within("the new process"));
		await waitFor(() => rig.member(2).accepted.get("0 1")?.data.received === 100, within("the other process"));
		expect(other.data.endings).toEqual([]);
	});

	it("of a process that has gone end only when all is read that it wrote, in however many turns", async () => {
		const rig = new StreamsRig(2, 2 ** 20);
		await rig.meet();
		const near = rig.member(1).open(0, 1);
		await waitFor(() => rig.member(0).accepted.has("1 1"), within("it is accepted"));
		const far = rig.member(0).accepted.get("1 1")!.control;
		for (let count = 0; count < 200; count++) {
			near.control.total++;
			near.control.stream!.hurry();
		}
		expect([near.control.sent, far.received]).toEqual([200, 0]);
		rig.kill(1);
		await waitFor(() => far.endings.length === 1, within("it ends"));
		expect(far.received).toBe(200);
	});

	it("take nothing that a former process of a slot wrote, or that was for a former one", async () => {
		const rig = new StreamsRig(2);
		await rig.meet();
		const near = rig.member(0).open(1, 1);
		await waitFor(() => rig.member(1).accepted.size === 1, within("it is accepted"));
		const { link } = rig.member(0);
		for (const [originIncarnation, targetIncarnation] of [
			[1, 7],
			[7, 2],
		] as const) {
			const at = link.claim(24 + 100);
			const stream = near.data.stream!.number;
			const head = { step: StreamStep.data, target: 1, fromOpener: true, stream, originIncarnation, targetIncarnation, amount: 0 };
			writeStreamHead(link.view, at, head);
			link.commit();
		}
		near.data.send(5);
		const { data } = rig.member(1).accepted.get("0 1")!;
		await waitFor(() => data.received >= 5, within("the true ones"));
		expect([data.received, data.wrongAt, rig.member(1).streams.counts.stale]).toEqual([5, -1, 2]);
	});

	it("survive whatever another process writes", async () => {
		const rig = new StreamsRig(3);
		await rig.meet();
		const random = randomOf(seed);
		const near = rig.member(0).open(1, 1);
		await waitFor(() => rig.member(1).accepted.size === 1, within("it is accepted"));
		const { link } = rig.member(2);
		for (let round = 0; round < 2000; round++) {
			const bytes = Math.floor(random() * 80);
			const at = link.claim(bytes);
			if (at < 0) {
				await new Promise((resolve) => setImmediate(resolve));
				continue;
			}
			for (let index = 0; index < bytes; index++) link.u8[at + index] = Math.floor(random() * 256);
			if (bytes >= 24 && random() < 0.8) {
				const step = Math.floor(random() * 8);
				writeStreamHead(link.view, at, {
					...{ step, target: random() < 0.9 ? 1 : 5, fromOpener: random() < 0.5, stream: Math.floor(random() * 6) },
					...{ originIncarnation: random() < 0.9 ? 3 : 4, targetIncarnation: random() < 0.9 ? 2 : 4 },
					amount: step === StreamStep.credit ? Math.floor(random() * 2 ** 32) : Math.floor(random() * 5),
				});
			}
			link.commit();
			link.ringWaiters();
			if (round % 10 === 0) near.data.send(1000);
			if (round % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
		}
		await waitFor(() => rig.member(1).accepted.get("0 1")?.data.received === near.data.total, within(`all bytes, with seed ${seed}`));
		expect(near.data.endings).toEqual([]);
		expect(rig.member(1).streams.counts.malformed).toBeGreaterThan(0);
		expect(rig.member(1).streams.counts.stale).toBeGreaterThan(0);
	});

	it.each([
		["more bytes than it has room for", StreamStep.data],
		["credit for more than was sent", StreamStep.credit],
	] as const)("are broken at both ends when one sends %s, and others go on", async (_, step) => {
		const rig = new StreamsRig(2, 2 ** 20);
		await rig.meet();
		const [near, other] = [rig.member(0).open(1, 1), rig.member(0).open(1, 2)];
		rig.member(1).onAccepted = ({ data }) => {
			data.takes = () => false;
		};
		await waitFor(() => rig.member(1).accepted.size === 2, within("both are accepted"));
		const far = rig.member(1).accepted.get("0 1")!;
		const { link } = rig.member(0);
		const piece = step === StreamStep.data ? 32 * 1024 : 0;
		for (let sent = 0; sent <= streamWindowBytes; sent += 32 * 1024) {
			const at = link.claim(24 + piece);
			const { number } = near.data.stream!;
			const ends = { originIncarnation: 1, targetIncarnation: 2 };
			writeStreamHead(link.view, at, { step, target: 1, fromOpener: true, stream: number, ...ends, amount: 1 });
			link.commit();
		}
		link.ringWaiters();
		await waitFor(() => near.data.endings.length === 1, within("it is broken"));
		expect([...near.data.endings, ...far.data.endings]).toEqual([false, false]);
		expect(rig.member(1).streams.counts.violations).toBe(1);
		other.control.send(1000);
		await waitFor(() => rig.member(1).accepted.get("0 2")?.control.received === 1000, within("the other one"));
	});

	it("carry all bytes once and in order, with sinks that stop and rings that are full", { tags: ["long"] }, async () => {
		const random = randomOf(seed);
		const rig = new StreamsRig(3, 8 * 1024);
		await rig.meet();
		const pairs: { readonly near: TestEnd; readonly far: () => TestEnd | undefined }[] = [];
		const moody = (end: TestEnd): void => {
			end.takes = () => {
				if (random() < 0.7) return true;
				const wake = (left: number): void => void setImmediate(() => (left > 0 ? wake(left - 1) : end.stream!.resume()));
				wake(Math.floor(random() * 5));
				return false;
			};
		};
		for (let slot = 0; slot < 3; slot++)
			rig.member(slot).onAccepted = (channel: TestChannel) => {
				for (const end of channel.both) {
					moody(end);
					end.send(Math.floor(random() * 30_000));
				}
			};
		for (let count = 0; count < 12; count++) {
			const from = Math.floor(random() * 3);
			const to = (from + 1 + Math.floor(random() * 2)) % 3;
			const channel = rig.member(from).open(to, 100 + count);
			for (const name of ["control", "data"] as const) {
				moody(channel[name]);
				pairs.push({ near: channel[name], far: () => rig.member(to).accepted.get(`${from} ${100 + count}`)?.[name] });
			}
		}
		for (let round = 0; round < 200; round++) {
			const { near } = pairs[Math.floor(random() * pairs.length)]!;
			near.send(Math.floor(random() ** 3 * 60_000));
			if (random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
		}
		await waitFor(
			() =>
				pairs.every(({ near, far }) => {
					const end = far();
					return end?.received === near.total && near.received === end.total;
				}),
			within(`all bytes, with seed ${seed}`),
		);
		expect(pairs.map(({ near, far }) => [near.wrongAt, far()!.wrongAt]).filter(([one, two]) => one !== -1 || two !== -1)).toEqual([]);
		expect(rig.members.reduce((sum, member) => sum + member!.streams.counts.ringFull, 0)).toBeGreaterThan(0);
		expect(rig.members.map((member) => member!.streams.counts.violations)).toEqual([0, 0, 0]);
	});

	it("of a process that dies at any record have a part of what it sent, and what was not sent is known", { tags: ["long"] }, async () => {
		for (let records = 1; records <= 25; records++) {
			const rig = new StreamsRig(2, 16 * 1024);
			await rig.meet();
			rig.kill(1);
			let left = records;
			let isDead = false;
			rig.start(1, (link) => {
				const { claim, commit } = link;
				link.claim = (bytes) => (isDead ? -1 : claim.call(link, bytes));
				link.commit = () => {
					commit.call(link);
					isDead ||= --left === 0;
				};
				return link;
			});
			const answering = (channel: TestChannel): void => channel.data.send(7000);
			rig.member(0).onAccepted = answering;
			rig.member(1).onAccepted = answering;
			// The first record is that it is there.
			await waitFor(() => rig.member(0).streams.isThere(1), within("it is there"));
			const near = rig.member(0).open(1, 1);
			near.data.send(20_000);
			await waitFor(() => isDead || rig.member(1).streams.isThere(0), within("it knows the other one"));
			const opened = isDead ? null : rig.member(1).open(0, 2);
			opened?.data.send(20_000);
			opened?.data.stream?.end();
			await waitFor(
				() => isDead || (rig.member(0).accepted.get("1 2")?.data.received === 20_000 && near.data.received === 7000),
				within(`the end of ${records} records`),
			);
			await new Promise((resolve) => setImmediate(resolve));
			rig.kill(1);
			const far = rig.member(0).accepted.get("1 2")?.data;
			await waitFor(() => rig.member(0).streams.open === 0, within("its streams are over"));
			expect([near.data.wrongAt, far?.wrongAt ?? -1]).toEqual([-1, -1]);
			expect(near.data.endings).toEqual([false]);
			expect(far?.received ?? 0).toBe(opened?.data.sent ?? 0);
			rig.start(1);
			await rig.meet();
			const again = rig.member(1).open(0, 3);
			again.data.send(5000);
			await waitFor(() => rig.member(0).accepted.get("1 3")?.data.received === 5000, within("the next process"));
			rig.kill(0);
			rig.kill(1);
		}
	});
});
