import { type BusLink, MemoryBus } from "@shardcast/bus";
import { waitFor } from "@shardcast/testkit";
import type { BusStream, StreamEnds } from "../../src/peers/bus-stream.ts";
import { BusStreams } from "../../src/peers/bus-streams.ts";
import type { ChannelEnds } from "../../src/peers/gateway-bus.ts";
import type { PeerChannel } from "../../src/peers/peer-channel.ts";
import { closing } from "./leaves-nothing.ts";

/** Byte number `at` of what is sent on streams about a backend. */
function byteOf(backendId: number, at: number): number {
	return (backendId * 31 + at * 7 + (at >> 8)) & 0xff;
}

/** One end of a stream: sends up to `total` bytes, and checks those that come. */
export class TestEnd {
	readonly backendId: number;
	/** Bytes that may be sent. */
	total = 0;
	sent = 0;
	received = 0;
	/** The first byte that was wrong. */
	wrongAt = -1;
	/** What `ended` was called with. */
	readonly endings: boolean[] = [];
	stream: BusStream | null = null;
	/** Decides after each piece whether more is taken. */
	takes: () => boolean = () => true;

	constructor(backendId: number) {
		this.backendId = backendId;
	}

	readonly ends: StreamEnds = {
		source: {
			ready: (max) => Math.min(max, this.total - this.sent),
			take: (into, at, count) => {
				for (let index = 0; index < count; index++) into[at + index] = byteOf(this.backendId, this.sent + index);
				this.sent += count;
			},
		},
		sink: {
			received: (bytes, from, to) => {
				for (let at = from; at < to; at++, this.received++)
					if (bytes[at] !== byteOf(this.backendId, this.received) && this.wrongAt < 0) this.wrongAt = this.received;
				return this.takes();
			},
			wrote: () => {},
			deaf: () => {},
			ended: (isOrderly) => void this.endings.push(isOrderly),
		},
	};

	/** Sends this many more bytes. */
	send(bytes: number): void {
		this.total += bytes;
		this.stream?.wake();
	}
}

export class TestChannel {
	readonly control: TestEnd;
	readonly data: TestEnd;

	constructor(backendId: number) {
		this.control = new TestEnd(backendId);
		this.data = new TestEnd(backendId);
	}

	get ends(): ChannelEnds {
		return { control: this.control.ends, data: this.data.ends };
	}

	get both(): readonly [TestEnd, TestEnd] {
		return [this.control, this.data];
	}
}

/** A process on the bus, as far as streams are concerned. */
export class TestMember {
	readonly streams: BusStreams;
	readonly link: BusLink;
	/** Channels that others have opened: by slot, then by backend. */
	readonly accepted = new Map<string, TestChannel>();
	readonly found: number[] = [];
	/** Refuses channels. */
	isRefusing = false;
	/** What takes a channel instead of a `TestChannel`. */
	onOpen: (() => PeerChannel) | null = null;
	/** Called when a channel is accepted. */
	onAccepted: (channel: TestChannel) => void = () => {};

	constructor(link: BusLink, incarnationOf: (slot: number) => number) {
		this.link = link;
		let opening = new TestChannel(0);
		let taken: PeerChannel | null = null;
		this.streams = new BusStreams(
			{ link, incarnationOf, beforeTurn: () => {} },
			{
				onOpen: (_, backendId) => {
					if (this.isRefusing) return null;
					taken = this.onOpen?.() ?? null;
					opening = new TestChannel(backendId);
					return taken?.ends ?? opening.ends;
				},
				accepted: (slot, backendId, { control, data }) => {
					taken?.attach({ control, data });
					opening.control.stream = control;
					opening.data.stream = data;
					this.accepted.set(`${slot} ${backendId}`, opening);
					this.onAccepted(opening);
				},
				onFound: (slot) => void this.found.push(slot),
			},
		);
	}

	/** Opens a channel to a process that is there. */
	open(slot: number, backendId: number): TestChannel {
		const channel = new TestChannel(backendId);
		const streams = this.streams.openChannel(slot, backendId, channel.ends);
		if (streams === null) throw new Error(`process ${slot} is not there`);
		channel.control.stream = streams.control;
		channel.data.stream = streams.data;
		return channel;
	}
}

/** Processes on a bus in memory. They are stopped after the test. */
export class StreamsRig {
	readonly members: (TestMember | null)[] = [];
	/** 0 = no process is there. */
	readonly incarnations: number[];
	#starts = 0;
	readonly #bus: MemoryBus;

	constructor(members: number, capacityBytes = 64 * 1024) {
		this.#bus = new MemoryBus({ members, capacityBytes });
		this.incarnations = new Array(members).fill(0);
		for (let slot = 0; slot < members; slot++) this.start(slot);
		closing(() => {
			for (let slot = 0; slot < members; slot++) this.kill(slot);
		});
	}

	/** @param wrap what the process has instead of its link. */
	start(slot: number, wrap: (link: BusLink) => BusLink = (link) => link): TestMember {
		this.incarnations[slot] = ++this.#starts;
		const member = new TestMember(wrap(this.#bus.link(slot)), (of) => this.incarnations[of]!);
		this.members[slot] = member;
		member.streams.start();
		return member;
	}

	/** Ends a process without any goodbye. */
	kill(slot: number): void {
		const member = this.members[slot];
		if (member == null) return;
		this.members[slot] = null;
		this.incarnations[slot] = 0;
		member.link.claim = () => -1;
		member.streams.stop();
		member.link.close();
		for (const other of this.members) other?.streams.tick();
	}

	member(slot: number): TestMember {
		return this.members[slot]!;
	}

	/** Waits until all processes know each other. */
	async meet(): Promise<void> {
		const there = this.members.flatMap((member, slot) => (member === null ? [] : slot));
		await waitFor(() => there.every((slot) => there.every((other) => other === slot || this.member(slot).streams.isThere(other))), {
			what: "all processes know each other",
			deadlineMs: 20_000,
		});
	}
}
