import { Scoreboard } from "@shardcast/scoreboard";
import { channelList, encodePublisherInfo, noExtensions, RecordKind, RecordType, recordBytes, writeRecord } from "@shardcast/wire";
import fc from "fast-check";
import { expect, it } from "vitest";
import { FanOut } from "../../src/delivery/fan-out.ts";
import type { Audience, AudienceProvider } from "../../src/hub/audience.ts";
import { Hub } from "../../src/hub/hub.ts";
import { SenderIds } from "../../src/sessions/sender-ids.ts";
import type { Transport } from "../../src/transports/transport.ts";
import { FakeTopics, FakeTransport, withoutTopics } from "../support/fake-transport.ts";
import { RecordingSession } from "./transport-contract.ts";

/** Runs one implementation; made for each test. */
export interface AudienceRig {
	readonly provider: AudienceProvider;
	/** The audiences that a client of these channels subscribes to at once; `left` when it has unsubscribed. */
	enter(channels: readonly string[]): { readonly audiences: readonly Audience[]; readonly left?: () => void };
	/** What a client of these channels gets for a message, in any order. */
	expected(own: readonly string[], message: { readonly channels: readonly string[]; readonly text: string }): string[];
	/** Frames that were encoded so far. */
	encoded(): number;
	/** Groups of clients that get the same bytes for a message: each is encoded once. */
	groups(clients: readonly (readonly string[])[], channels: readonly string[]): number;
	/** Whatever is still kept of subscriptions: 0 when all are gone. */
	kept(): number;
	/** Its audiences get joins instead of messages. The client that joins gets its own. */
	readonly getsJoins?: boolean;
}

/** A fan-out over these providers, and clients in memory. */
export class AudienceBench {
	readonly row = Scoreboard.inMemory(1).row(0);
	readonly topics = new FakeTopics();
	readonly hub = new Hub();
	readonly #senders = new SenderIds<{ readonly transport: Transport; isIn(audience: Audience): boolean }>();
	readonly #joined = new Map<Transport, Audience[]>();
	readonly #fanOut: FanOut;
	readonly #getsJoins: boolean;

	/** @param getsJoins whether joins are published instead of messages. */
	constructor(providers: readonly AudienceProvider[], getsJoins = false) {
		this.#getsJoins = getsJoins;
		for (const provider of providers)
			if (getsJoins) this.hub.addForJoins(provider);
			else this.hub.add(provider);
		this.#fanOut = new FanOut({
			member: 0,
			life: 1,
			hub: this.hub,
			senders: this.#senders,
			topics: this.topics,
			logged: null,
			counters: this.row,
			console: { watching: false, onRecord: () => {} },
			onClientFrames: () => {},
			onGaps: () => {},
			direct: () => 0,
		});
	}

	client(): FakeTransport {
		return new FakeTransport(this.topics, new RecordingSession());
	}

	/** Lets a client listen to these channels, and returns what ends that. */
	join({ enter }: Pick<AudienceRig, "enter">, client: Transport, channels: readonly string[]): (how?: "unsubscribes" | "is gone") => void {
		const { audiences, left } = enter(channels);
		const all: Audience[] = [];
		for (const audience of audiences) {
			this.hub.subscribe(client, audience);
			for (let each: Audience | null = audience; each !== null; each = each.wider) all.push(each);
		}
		this.#joined.set(client, all);
		return (how = "unsubscribes") => {
			for (const audience of audiences) {
				if (how === "is gone") this.hub.forget(client, audience);
				else this.hub.unsubscribe(client, audience);
			}
			left?.();
		};
	}

	/** As the flush engine does it. @param from the client that published it and is not to get it back. */
	publish(channels: readonly string[], text: string, from?: Transport | null): void {
		const list = channelList(channels);
		const payload = this.#getsJoins ? encodePublisherInfo({ client: "c", user: text }) : Buffer.from(text);
		const isIn = (audience: Audience) => this.#joined.get(from!)?.includes(audience) ?? false;
		const sender = from ? this.#senders.assign({ transport: from, isIn }) : 0;
		const u8 = new Uint8Array(recordBytes(list, payload.length));
		const view = new DataView(u8.buffer);
		const fields = { kind: RecordKind.text, targetSlot: null, sender, senderShard: 0, publishedMs: 0, channels: list };
		const type = this.#getsJoins ? RecordType.join : RecordType.publication;
		u8.set(payload, writeRecord(view, u8, 0, { ...fields, type, extensions: noExtensions }));
		this.#fanOut.deliver(0, u8, view, 0, u8.length);
		this.#fanOut.count();
	}
}

const letters = fc.constantFrom("a", "b", "c", "d");
const sets = fc.uniqueArray(letters, { maxLength: 3 });
const someChannels = fc.uniqueArray(letters, { minLength: 1, maxLength: 3 });

/** What every user of the hub may rely on, whatever finds its audiences. */
export function audienceContract(create: () => AudienceRig): void {
	const kinds = fc.constantFrom("topics", "list") as fc.Arbitrary<"topics" | "list">;
	const ways = fc.constantFrom("stays", "unsubscribes", "is gone") as fc.Arbitrary<"stays" | "unsubscribes" | "is gone">;
	const client = fc.record({ own: someChannels, kind: kinds, way: ways });

	it("every addressed client gets a message once and nobody else gets it, whichever clients connect and disconnect; it is counted, and encoded once for each group", {
		tags: ["long"],
	}, () => {
		fc.assert(
			fc.property(fc.array(client, { maxLength: 20 }), sets, fc.boolean(), fc.boolean(), (clients, channels, ofAClient, echoes) => {
				const rig = create();
				const bench = new AudienceBench([rig.provider], rig.getsJoins);
				const joined = clients.map(({ own, kind, way }) => {
					const transport = bench.client();
					const asSender = kind === "list" ? withoutTopics(transport) : transport;
					const leave = bench.join(rig, asSender, own);
					return { own, way, transport, asSender, leave };
				});
				const here = joined.filter(({ way }) => way === "stays");
				for (const { way, transport, leave } of joined) {
					if (way === "stays") continue;
					if (way === "is gone") transport.peer.leave(1000);
					leave(way);
				}
				// A client publishes to its own channels.
				const sender = ofAClient ? here[0] : undefined;
				const message = { channels: sender?.own ?? channels, text: "hello" };
				bench.publish(message.channels, message.text, echoes ? null : sender?.asSender);
				let deliveries = 0;
				for (const one of joined) {
					const isMeant = one.way === "stays" && (one !== sender || echoes || rig.getsJoins === true);
					const expected = isMeant ? rig.expected(one.own, message) : [];
					expect(one.transport.peer.received().sort()).toEqual(expected.sort());
					deliveries += expected.length;
				}
				expect(bench.row.get("deliveries")).toBe(deliveries);
				expect(bench.row.get("deliveredBytes")).toBe(here.flatMap(({ transport }) => transport.peer.received()).join("").length);
				const owns = here.map(({ own }) => own);
				expect(rig.encoded()).toBe(rig.groups(owns, message.channels));
				const all = ["a", "b", "c", "d"] as const;
				expect(all.map((letter) => bench.hub.reach(letter))).toEqual(
					all.map((letter) => (rig.getsJoins === true ? 0 : owns.filter((own) => own.includes(letter)).length)),
				);
				for (const { leave } of here) leave();
				expect([rig.kept(), rig.provider.subscriptions]).toEqual([0, 0]);
				expect(joined.flatMap(({ way, transport }) => (way === "is gone" ? [] : transport.topics))).toEqual([]);
			}),
			{ numRuns: 200 },
		);
	});

	it.each([true, false])(
		"a client that sends gets its own message unless it is named as the sender; all others get it, on lists as well: %s",
		(echoes) => {
			for (const ofAList of [true, false]) {
				const rig = create();
				const bench = new AudienceBench([rig.provider], rig.getsJoins);
				const [first, second, other] = [bench.client(), bench.client(), bench.client()];
				const listed = withoutTopics(second);
				for (const each of [first, other, listed]) bench.join(rig, each, ["a"]);
				const sender = ofAList ? second : first;
				bench.publish(["a"], "mine", echoes ? null : ofAList ? listed : first);
				const whole = rig.expected(["a"], { channels: ["a"], text: "mine" });
				const getsOwn = echoes || rig.getsJoins === true;
				for (const each of [first, second, other]) expect(each.peer.received()).toEqual(each === sender && !getsOwn ? [] : whole);
				expect(bench.row.get("deliveries")).toBe(getsOwn ? 3 : 2);
				const outsider = bench.client();
				bench.publish(["a"], "from outside", outsider);
				expect(bench.row.get("deliveries")).toBe(getsOwn ? 6 : 5);
			}
		},
	);

	it("keeps the order of messages for each client", () => {
		const rig = create();
		const bench = new AudienceBench([rig.provider], rig.getsJoins);
		const [one, other] = [bench.client(), bench.client()];
		bench.join(rig, one, ["a", "b"]);
		bench.join(rig, withoutTopics(other), ["b"]);
		const texts = Array.from({ length: 20 }, (_, index) => [index % 2 === 0 ? "a" : "b", `m${index}`] as const);
		for (const [channel, text] of texts) bench.publish([channel], text);
		const all = (own: string[]) => texts.flatMap(([channel, text]) => rig.expected(own, { channels: [channel], text }));
		expect(one.peer.received()).toEqual(all(["a", "b"]));
		expect(other.peer.received()).toEqual(all(["b"]));
	});

	it.each(["topics", "list"])("a client that subscribes again after all have left gets messages again: %s", (kind) => {
		const rig = create();
		const bench = new AudienceBench([rig.provider], rig.getsJoins);
		const transport = bench.client();
		for (const round of ["one", "two"]) {
			const leave = bench.join(rig, kind === "list" ? withoutTopics(transport) : transport, ["a"]);
			bench.publish(["a"], round);
			leave();
			bench.publish(["a"], "unheard");
		}
		expect(transport.peer.received()).toEqual(["one", "two"].flatMap((text) => rig.expected(["a"], { channels: ["a"], text })));
	});

	it("a client that failed while it was opened is counted, so that forgetting it leaves nothing", () => {
		const rig = create();
		const bench = new AudienceBench([rig.provider], rig.getsJoins);
		const failed = bench.client();
		failed.subscribe = () => {
			throw new Error("the library failed");
		};
		const { audiences, left } = rig.enter(["a"]);
		for (const audience of audiences) {
			expect(() => bench.hub.subscribe(failed, audience)).toThrow("the library failed");
			bench.hub.forget(failed, audience);
		}
		left?.();
		expect([rig.kept(), rig.provider.subscriptions, bench.hub.reach("a")]).toEqual([0, 0, 0]);
	});
}
