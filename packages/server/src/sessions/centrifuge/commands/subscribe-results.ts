import type { Positions } from "@shardcast/channels";
import { ErrorCode, type StreamPosition, SubscribeFlag, type SubscribeResult } from "@shardcast/protocol";
import type { Counters } from "@shardcast/scoreboard";
import type { Framing } from "../framing.ts";
import { publicationFor, type Recovery } from "./recovery.ts";

export interface SubscribeResultsParts {
	readonly recovery: Recovery;
	readonly counters: Pick<Counters, "add">;
}

/** What a returning subscriber asks for. */
export interface Returning extends StreamPosition {
	readonly recover: boolean;
	/** Bits of `SubscribeFlag`. */
	readonly flag: number;
}

/** What a subscriber is told: the position of the channel, and what it missed. */
export class SubscribeResults {
	readonly #parts: SubscribeResultsParts;

	constructor(parts: SubscribeResultsParts) {
		this.#parts = parts;
	}

	/**
	 * Subscribe the client in the same step of the loop: whatever is not in the result arrives in later turns. Null = the answer is not
	 * available now; ask again in a later turn.
	 */
	of(framing: Framing, channel: string, { positioned, recoverable }: Positions, asked: Returning): SubscribeResult | ErrorCode | null {
		const { recover, offset, epoch, flag } = asked;
		if (!positioned) return recover ? { wasRecovering: true } : {};
		const { recovery } = this.#parts;
		if (!recover || !recoverable) {
			const position = recovery.position(channel);
			return position === null ? null : { recoverable, positioned: true, wasRecovering: recover, ...position };
		}
		const missed = recovery.recover(channel, { offset, epoch });
		if (missed === null) return null;
		const { recovered, position } = missed;
		if (!recovered && (flag & SubscribeFlag.rejectUnrecovered) !== 0) {
			this.#parts.counters.add("recoveriesFailed", 1);
			return ErrorCode.unrecoverablePosition;
		}
		const publications = missed.publications.map((publication) => publicationFor(framing, publication));
		const at = recovered ? { epoch: position.epoch, offset } : position;
		return { recoverable, positioned: true, wasRecovering: true, recovered, ...at, publications };
	}

	/** The client is subscribed, and gets this. */
	given({ recovered, publications }: SubscribeResult): void {
		if (recovered === undefined) return;
		const { counters } = this.#parts;
		counters.add(recovered ? "recoveries" : "recoveriesFailed", 1);
		counters.add("recoveredPublications", publications?.length ?? 0);
	}
}
