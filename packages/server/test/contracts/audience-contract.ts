import { Scoreboard } from "@shardcast/scoreboard";
import { channelList, RecordKind, recordBytes, writeRecordHead } from "@shardcast/wire";
import fc from "fast-check";
import { expect, it } from "vitest";
import { FanOut } from "../../src/delivery/fan-out.ts";
import type { AudienceProvider } from "../../src/hub/audience.ts";
import { Hub } from "../../src/hub/hub.ts";
import { SenderIds } from "../../src/sessions/raw/sender-ids.ts";
import type { Transport } from "../../src/transports/transport.ts";
import { FakeTopics, FakeTransport } from "../support/fake-transport.ts";
import { RecordingSession } from "./transport-contract.ts";

/** Runs one implementation; made for each test. */
export interface AudienceRig {
	readonly provider: AudienceProvider;
	/** Lets a client listen to these channels, and returns what ends that. */
	join(client: Transport, channels: readonly string[]): () => void;
	/** What a client of these channels gets for a message, in any order. */
	expected(own: readonly string[], message: { readonly channels: readonly string[]; readonly text: string }): string[];
	/** Frames that were encoded so far. */
	encoded(): number;
	/** Groups of clients that get the same bytes for a message: each is encoded once. */
	groups(clients: readonly (readonly string[])[], channels: readonly string[]): number;
	/** Whatever is still kept of subscriptions: 0 when all are gone. */
	kept(): number;
}

/** A fan-out over these providers, and clients in memory. */
export class AudienceBench {
	readonly row = Scoreboard.inMemory(1).row(0);
	readonly topics = new FakeTopics();
	readonly hub: Hub;
	readonly #fanOut: FanOut;

	constructor(providers: readonly AudienceProvider[]) {
		this.hub = new Hub(providers);
		this.#fanOut = new FanOut({
			member: 0,
			life: 1,
			hub: this.hub,
			senders: new SenderIds(),
			topics: this.topics,
			logged: null,
			counters: this.row,
			console: { watching: false, onRecord: () => {} },
		});
	}

	client(): FakeTransport {
		return new FakeTransport(this.topics, new RecordingSession());
	}

	/** As the flush engine does it. */
	publish(channels: readonly string[], text: string): void {
		const list = channelList(channels);
		const payload = Buffer.from(text);
		const u8 = new Uint8Array(recordBytes(list, payload.length));
		const view = new DataView(u8.buffer);
		u8.set(payload, writeRecordHead(view, u8, 0, RecordKind.text, 0, 0, list));
		this.#fanOut.deliver(0, u8, view, 0, u8.length);
		this.#fanOut.count();
	}
}

const letters = fc.constantFrom("a", "b", "c", "d");
const sets = fc.uniqueArray(letters, { maxLength: 3 });
const someChannels = fc.uniqueArray(letters, { minLength: 1, maxLength: 3 });

/** What every user of an audience does. */
export function audienceContract(create: () => AudienceRig): void {
	it("every client that is meant gets a message once, nobody else gets it, whoever else came and went; counted, and encoded once for each group", () => {
		fc.assert(
			fc.property(fc.array(fc.record({ own: someChannels, stays: fc.boolean() }), { maxLength: 20 }), sets, (clients, channels) => {
				const rig = create();
				const bench = new AudienceBench([rig.provider]);
				const joined = clients.map(({ own, stays }) => {
					const transport = bench.client();
					return { own, stays, transport, leave: rig.join(transport, own) };
				});
				for (const { stays, leave } of joined) if (!stays) leave();
				bench.publish(channels, "hello");
				let deliveries = 0;
				for (const { own, stays, transport } of joined) {
					const expected = stays ? rig.expected(own, { channels, text: "hello" }) : [];
					expect(transport.peer.received().sort()).toEqual(expected.sort());
					deliveries += expected.length;
				}
				const here = joined.filter(({ stays }) => stays);
				expect(bench.row.get("deliveries")).toBe(deliveries);
				expect(bench.row.get("deliveredBytes")).toBe(here.flatMap(({ transport }) => transport.peer.received()).join("").length);
				const owns = here.map(({ own }) => own);
				expect(rig.encoded()).toBe(rig.groups(owns, channels));
				for (const letter of ["a", "b", "c", "d"] as const)
					expect(bench.hub.reach(letter)).toBe(owns.filter((own) => own.includes(letter)).length);
				for (const { leave } of here) leave();
				expect(rig.kept()).toBe(0);
			}),
			{ numRuns: 200 },
		);
	});

	it("keeps the order of messages for each client", () => {
		const rig = create();
		const bench = new AudienceBench([rig.provider]);
		const [one, other] = [bench.client(), bench.client()];
		rig.join(one, ["a", "b"]);
		rig.join(other, ["b"]);
		const texts = Array.from({ length: 20 }, (_, index) => [index % 2 === 0 ? "a" : "b", `m${index}`] as const);
		for (const [channel, text] of texts) bench.publish([channel], text);
		const all = (own: string[]) => texts.flatMap(([channel, text]) => rig.expected(own, { channels: [channel], text }));
		expect(one.peer.received()).toEqual(all(["a", "b"]));
		expect(other.peer.received()).toEqual(all(["b"]));
	});

	it("a client that comes back after all have left hears again", () => {
		const rig = create();
		const bench = new AudienceBench([rig.provider]);
		const client = bench.client();
		for (const round of ["one", "two"]) {
			const leave = rig.join(client, ["a"]);
			bench.publish(["a"], round);
			leave();
			bench.publish(["a"], "unheard");
		}
		expect(client.peer.received()).toEqual(["one", "two"].flatMap((text) => rig.expected(["a"], { channels: ["a"], text })));
	});
}
