// @module-tag long
import { setImmediate as turn } from "node:timers/promises";
import { waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { FrameClass } from "../src/frames/frame-descriptor.ts";
import { type FakeBackend, frameBytes } from "./support/fake-backend.ts";
import { seed } from "./support/frames.ts";
import { type HubClient, HubsRig } from "./support/hubs-rig.ts";
import { leavesNothing } from "./support/leaves-nothing.ts";
import { openBackend } from "./support/link-rig.ts";

leavesNothing();

const members = 3;

function randomOf(start: number): (below: number) => number {
	let state = start >>> 0 || 1;
	return (below) => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return Math.floor((state / 2 ** 32) * below);
	};
}

/** Numbers in texts "key number …", by key, in the order of the texts. */
function numbersByKey(texts: readonly string[]): Map<string, number[]> {
	const byKey = new Map<string, number[]>();
	for (const text of texts) {
		const [key, number] = text.split(" ");
		const numbers = byKey.get(key!) ?? [];
		numbers.push(Number(number));
		byKey.set(key!, numbers);
	}
	return byKey;
}

function isRising(numbers: readonly number[]): boolean {
	return numbers.every((number, index) => index === 0 || number > numbers[index - 1]!);
}

describe("a gateway whose processes and backends fail at random", () => {
	it(`passes no frame on twice or out of order, and all of them once nothing fails any more; seed ${seed}`, {
		timeout: 120_000,
	}, async () => {
		const random = randomOf(seed);
		const backends: FakeBackend[] = [await openBackend(), await openBackend()];
		const rig = new HubsRig({ members, capacityBytes: 32 * 1024, config: { clientQueueFrames: 1024, backendQueueFrames: 32 } });
		const owners = [0, 1];
		rig.use(backends, owners);
		await rig.up();
		const clients: HubClient[] = [];
		const join = (slot: number): void => void clients.push(rig.client(slot));
		for (let slot = 0; slot < members; slot++) for (let count = 0; count < 3; count++) join(slot);
		const isThere = ({ hub, client }: HubClient) => rig.hubs.includes(hub) && !client.isGone;
		let number = 0;
		const someFrames = (): void => {
			for (let count = random(40); count > 0; count--) {
				const there = clients.filter(isThere);
				// All may have been closed meanwhile, by faults or since they sent too much.
				if (there.length === 0) return;
				const client = there[random(there.length)]!;
				const backend = random(2);
				const isControl = random(2) === 0;
				const frameClass = isControl ? FrameClass.CONTROL : FrameClass.FILE;
				const kind = isControl ? "control" : "data";
				const padding = "x".repeat(random(10) === 0 ? random(60_000) : random(300));
				if (random(2) === 0) client.send(frameClass, backend + 1, `${client.id}/${kind} ${number++} ${padding}`);
				else {
					const connection = backends[backend]!.open.find((each) => each.kind === kind);
					const to = random(8) === 0 ? 0 : client.id;
					connection?.socket.write(frameBytes(frameClass, to, `${backend}/${kind} ${number++} ${padding}`));
				}
			}
		};
		const faults: (() => void | Promise<void>)[] = [
			() => {
				const slot = random(members);
				if (rig.hubs.filter((hub) => hub !== null).length === 1 || rig.hubs[slot] === null) return;
				rig.kill(slot);
				for (const [index, owner] of owners.entries()) if (owner === slot) owners[index] = rig.hubs.findIndex((hub) => hub !== null);
				rig.use(backends, owners);
			},
			() => {
				const slot = rig.hubs.indexOf(null);
				if (slot < 0) return;
				rig.start(slot);
				for (let count = 0; count < 3; count++) join(slot);
			},
			() => backends[random(2)]!.cut(),
			() => void rig.hung.add(random(members)),
			() => rig.hung.clear(),
			() => {
				const there = clients.filter(isThere);
				if (there.length > 3) there[random(there.length)]!.leave();
			},
			() => {
				const client = clients[random(clients.length)]!;
				if (isThere(client)) client.isSlow = random(2) === 0;
			},
		];
		for (let round = 0; round < 300; round++) {
			someFrames();
			if (random(6) === 0) await faults[random(faults.length)]!();
			for (let turns = random(4); turns > 0; turns--) await turn();
		}
		rig.hung.clear();
		for (let slot = 0; slot < members; slot++) if (rig.hubs[slot] === null) rig.start(slot);
		for (const client of clients) if (isThere(client)) client.isSlow = false;
		const within = (what: string) => ({ what: `${what}, with seed ${seed}`, deadlineMs: 20_000 });
		// What the kernel has taken for a connection that was cut is lost, and nobody knows.
		await turn();
		await waitFor(() => backends.every(({ open }) => open.length === 2), within("each backend is connected once"));
		await rig.up();
		for (let slot = 0; slot < members; slot++) join(slot);
		const there = clients.filter(isThere);
		/** Sends a frame until it is there: a process that does not know yet what has failed refuses it, or the process where it waits does. */
		const deliver = async (client: HubClient, backend: number, kind: "control" | "data"): Promise<void> => {
			const frameClass = kind === "control" ? FrameClass.CONTROL : FrameClass.FILE;
			const refusals = () =>
				client.told.filter((each) => each.type === "refused" && each.backend === backend && each.class === frameClass).length;
			for (;;) {
				const before = refusals();
				const text = `${client.id}/${kind} ${number++} last`;
				client.send(frameClass, backend, text);
				const hasCome = () => backends[backend - 1]!.open.some(({ story }) => story.includes(text));
				await waitFor(() => hasCome() || refusals() > before, within(`a frame of ${client.id} for ${backend} on ${kind}`));
				if (hasCome()) return;
				await rig.up();
			}
		};
		for (const client of there)
			for (const backend of [1, 2]) for (const kind of ["control", "data"] as const) await deliver(client, backend, kind);
		for (const [index, backend] of backends.entries())
			for (const kind of ["control", "data"] as const) {
				const connection = await backend.connection(kind);
				const frameClass = kind === "control" ? FrameClass.CONTROL : FrameClass.FILE;
				connection.socket.write(frameBytes(frameClass, 0, `${index}/${kind} ${number++} last`));
			}
		for (const client of there)
			await waitFor(() => client.texts.filter((text) => text.endsWith(" last")).length === 4, within(`the last frames for ${client.id}`));
		const wrong: string[] = [];
		for (const { id, texts } of clients)
			for (const [key, numbers] of numbersByKey(texts)) if (!isRising(numbers)) wrong.push(`client ${id} from ${key}: ${numbers}`);
		for (const [index, { connections }] of backends.entries()) {
			const texts = connections.flatMap(({ frames }) =>
				frames.filter(({ frameClass }) => frameClass !== FrameClass.LINK).map(({ content }) => content.toString()),
			);
			for (const [key, numbers] of numbersByKey(texts)) if (!isRising(numbers)) wrong.push(`backend ${index} from ${key}: ${numbers}`);
		}
		expect(wrong).toEqual([]);
		expect(rig.hubs.map((hub) => hub!.streams!.counts.violations)).toEqual([0, 0, 0]);
		await rig.idle();
	});
});
