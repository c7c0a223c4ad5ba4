import { describe, expect } from "vitest";
import { Lane, type LaneOwner } from "../../../src/sessions/lanes/lane.ts";
import { LaneMemory } from "../../../src/sessions/lanes/lane-memory.ts";
import type { Session } from "../../../src/sessions/session.ts";
import type { TopicTransport, Transport } from "../../../src/transports/transport.ts";
import { type Peer, type TransportRig, transportContract } from "../../contracts/transport-contract.ts";
import { FakeTopics, FakeTransport } from "../../support/fake-transport.ts";

/** Stands between a transport and a session, and gives the session a lane. The lane is pumped in later turns, as `Lanes` does it. */
class Behind implements Session<TopicTransport>, LaneOwner {
	readonly leaving = 0;
	readonly bufferedBytesMax = FakeTransport.bufferedBytesMax;
	readonly laneRule = expect.unreachable as never;
	readonly laneGap = expect.unreachable as never;
	readonly laneChannel = () => "";
	readonly #session: Session<Transport>;
	#lane!: Lane;
	#isOpen = true;
	#wasFull = false;

	constructor(session: Session<Transport>) {
		this.#session = session;
	}

	opened(transport: TopicTransport): void {
		const lane = new Lane(transport, this, { add: () => {} }, new LaneMemory(), "slow");
		const send = lane.send.bind(lane);
		lane.send = (message, isBinary) => {
			setImmediate(() => this.writable());
			return send(message, isBinary);
		};
		this.#lane = lane;
		this.#session.opened(lane);
	}

	frame(message: ArrayBuffer, isBinary: boolean): void {
		this.#session.frame(message, isBinary);
	}

	writable(): void {
		if (!this.#isOpen) return;
		this.#lane.pump();
		if (!this.#wasFull || !this.#lane.isDone) return;
		this.#wasFull = false;
		this.#session.writable();
	}

	dropped(): void {
		this.#wasFull = true;
		this.#session.dropped();
	}

	closed(code: number): void {
		this.#isOpen = false;
		this.#lane.dispose();
		this.#session.closed(code);
	}
}

describe("a lane in front of a transport", () => {
	transportContract(
		async (): Promise<TransportRig<Transport, Peer>> => ({
			bufferedBytesMax: FakeTransport.bufferedBytesMax,
			queues: true,
			connect: async (session) => {
				const behind = new Behind(session);
				const transport = new FakeTransport(new FakeTopics(), behind);
				behind.opened(transport);
				return transport.peer;
			},
			stop: () => {},
		}),
	);
});
