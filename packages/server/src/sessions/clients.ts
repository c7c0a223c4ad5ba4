import type { Counters } from "@shardcast/scoreboard";
import { CloseCode } from "@shardcast/wire";
import type { Pacing } from "../pacing/pacing.ts";
import type { ChannelSet, ChannelSets } from "./channel-sets.ts";
import type { Client, ClientData } from "./client.ts";
import type { LeavingClients } from "./leaving-clients.ts";
import type { SenderIds } from "./sender-ids.ts";

/** What the registry tells about itself as it changes: the words of the scoreboard's row. */
export interface ClientWords {
	webSockets: number;
	proxiedSeen: number;
}

export interface ClientsParts {
	readonly channelSets: ChannelSets;
	readonly senders: SenderIds<Client>;
	readonly leaving: LeavingClients;
	readonly pacing: Pick<Pacing, "forget">;
	readonly counters: Counters;
	readonly words: ClientWords;
	/** Runs the callback in a later phase of the loop, when uWebSockets.js is not in the middle of its topics. */
	readonly soon: (callback: () => void) => void;
}

/**
 * All WebSockets of this shard, from open to close: who is there, in which room, and how each of them ends. The row of the
 * scoreboard follows every change.
 *
 * One owner, the shard's loop. Bound: `--max-connections` by shard, checked before an upgrade.
 */
export class Clients {
	readonly #parts: ClientsParts;
	readonly #all: Client[] = [];
	/** Could not take a message; to be closed before anything else is published. */
	#slow: Client[] = [];
	#proxied = 0;

	constructor(parts: ClientsParts) {
		this.#parts = parts;
	}

	get count(): number {
		return this.#all.length;
	}

	/** In no order; changes with each client that comes or goes. */
	get all(): readonly Client[] {
		return this.#all;
	}

	/** The fields of a client that is about to be upgraded into a room that it has entered. */
	dataFor(channelSet: ChannelSet, proxiedAddress: string | null, addressSlot: number): ClientData {
		return { channelSet, sender: 0, place: -1, leaving: 0, addressSlot, proxiedAddress };
	}

	opened(client: Client): void {
		client.place = this.#all.push(client) - 1;
		for (const topic of this.#parts.channelSets.topicsOf(client.channelSet!)) client.subscribe(topic);
		if (client.proxiedAddress !== null) this.#proxied++;
		this.#parts.counters.add("opened", 1);
		this.#changed();
	}

	/** @param code as the client sent it or as we did; @param tooBig the socket was cut because of a frame's length. */
	closed(client: Client, code: number, tooBig: boolean): void {
		const { channelSets, senders, leaving, pacing, counters } = this.#parts;
		this.#remove(client);
		pacing.forget(client);
		if (client.channelSet !== null) channelSets.leave(client.channelSet);
		if (client.sender !== 0) senders.release(client.sender);
		if (client.leaving !== 0) leaving.closed(client);
		if (client.proxiedAddress !== null) this.#proxied--;
		counters.add("closed", 1);
		counters.add(closedCounter(tooBig ? CloseCode.messageTooBig : client.leaving || code), 1);
		this.#changed();
	}

	/**
	 * A message was not written to this client because it reads too slowly. Nothing may be changed here: uWebSockets.js is going
	 * through its topics. What it publishes until the next flush is dropped as well, since it looks at sockets in between only.
	 */
	dropped(client: Client): void {
		this.#parts.counters.add("droppedMessages", 1);
		if (client.leaving !== 0) return;
		client.leaving = CloseCode.slow;
		if (this.#slow.push(client) === 1) this.#parts.soon(this.closeSlow);
	}

	/** Before anything is published: nothing may follow a gap. */
	readonly closeSlow = (): void => {
		if (this.#slow.length === 0) return;
		const slow = this.#slow;
		this.#slow = [];
		for (const client of slow) if (client.place >= 0) this.#close(client, CloseCode.slow);
	};

	/** Closes a client in good order: nothing is delivered to it from now on, and it is told the code. */
	close(client: Client, code: CloseCode): void {
		if (client.place >= 0 && client.leaving === 0) this.#close(client, code);
	}

	/** In no order that a client could rely on. */
	snapshot(): Client[] {
		return [...this.#all];
	}

	#close(client: Client, code: CloseCode): void {
		const { channelSets, senders, leaving, pacing } = this.#parts;
		const channelSet = client.channelSet!;
		pacing.forget(client);
		for (const topic of channelSets.topicsOf(channelSet)) client.unsubscribe(topic);
		channelSets.leave(channelSet);
		client.channelSet = null;
		if (client.sender !== 0) {
			senders.release(client.sender);
			client.sender = 0;
		}
		leaving.close(client, code);
	}

	/** Nothing for one whose opening failed before it was in the list. */
	#remove(client: Client): void {
		if (client.place < 0) return;
		const last = this.#all.pop()!;
		if (last !== client) {
			last.place = client.place;
			this.#all[client.place] = last;
		}
		client.place = -1;
	}

	#changed(): void {
		const { words } = this.#parts;
		words.webSockets = this.#all.length;
		words.proxiedSeen = this.#proxied;
	}
}

function closedCounter(code: number) {
	switch (code) {
		case 1000:
			return "closedNormal";
		case CloseCode.goingAway:
			return "closedGoingAway";
		case 1005:
			return "closedNoCode";
		case 1006:
			return "closedAbnormal";
		case CloseCode.policyViolation:
			return "closedRateLimited";
		case CloseCode.messageTooBig:
			return "closedTooBig";
		case CloseCode.internalError:
			return "closedInternal";
		case CloseCode.receiveOnly:
			return "closedReceiveOnly";
		case CloseCode.tryAgainLater:
			return "closedBusFull";
		case CloseCode.slow:
			return "closedSlow";
		default:
			return "closedOther";
	}
}
