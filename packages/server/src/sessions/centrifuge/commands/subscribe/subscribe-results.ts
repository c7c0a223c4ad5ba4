import type { Positions } from "@shardcast/channels";
import {
	EncodedPublications,
	ErrorCode,
	type Publication,
	type StreamPosition,
	SubscribeFlag,
	type SubscribeResult,
} from "@shardcast/protocol";
import type { Counters } from "@shardcast/scoreboard";
import { type SubscriptionView, wholeView } from "../../audience/subscription.ts";
import type { Framing } from "../../framing.ts";
import type { KafkaAttempt } from "../recovery/kafka-recovery.ts";
import { type KafkaGap, publicationFor, publicationsFor, type Recovery } from "../recovery/recovery.ts";

interface SubscribeResultsParts {
	readonly recovery: Recovery;
	readonly counters: Pick<Counters, "add">;
}

/** The position that a returning subscriber asks to recover from. */
export interface Returning extends StreamPosition {
	readonly recover: boolean;
	/** Bits of `SubscribeFlag`. */
	readonly flag: number;
}

/** Null = the client must be told that it is not recovered. */
type FromKafka = { readonly publications: null } | { readonly publications: readonly Publication[]; readonly position: StreamPosition };

/** Builds the result of a subscribe: the channel's position, and what the client missed. */
export class SubscribeResults {
	readonly #parts: SubscribeResultsParts;

	constructor(parts: SubscribeResultsParts) {
		this.#parts = parts;
	}

	/**
	 * The client must be subscribed in the same step of the loop: whatever is not in the result arrives in later turns. Null = not available
	 * now; ask again in a later turn.
	 * @param attempt recovers from Kafka what memory does not hold; null = Kafka is not read.
	 * @param publicationsMax a client that missed more is not recovered; undefined = as configured.
	 */
	of(
		framing: Framing,
		channel: string,
		{ positioned, recoverable }: Positions,
		asked: Returning,
		attempt: KafkaAttempt | null = null,
		view: SubscriptionView = wholeView,
		publicationsMax?: number,
	): SubscribeResult | ErrorCode | null {
		const { recover, offset, epoch, flag } = asked;
		if (!positioned) return recover ? { wasRecovering: true } : {};
		const { recovery } = this.#parts;
		if (!recover || !recoverable) {
			const position = recovery.position(channel);
			return position === null ? null : { recoverable, positioned: true, wasRecovering: recover, ...position };
		}
		const missed = recovery.recover(channel, { offset, epoch }, publicationsMax);
		if (missed === null) return null;
		if (missed.gap !== null && attempt !== null) {
			const found = this.#fromKafka(framing, channel, { offset, epoch }, missed.gap, attempt);
			if (found === null) return null;
			if (found.publications !== null)
				return {
					...{ recoverable, positioned: true, wasRecovering: true, recovered: true, epoch: found.position.epoch, offset },
					publications: found.publications,
				};
		}
		const { recovered, position } = missed;
		if (!recovered && (flag & SubscribeFlag.rejectUnrecovered) !== 0) {
			this.#parts.counters.add("recoveriesFailed", 1);
			return ErrorCode.unrecoverablePosition;
		}
		const publications = publicationsFor(framing, missed.publications, view);
		// Publications that a filter holds back advance the position as well.
		const at = recovered && publications.length > 0 ? { epoch: position.epoch, offset } : position;
		return { recoverable, positioned: true, wasRecovering: true, recovered, ...at, publications };
	}

	/** Null = not available now. Null publications = Kafka does not have them, or there are too many. */
	#fromKafka(framing: Framing, channel: string, since: StreamPosition, gap: KafkaGap, attempt: KafkaAttempt): FromKafka | null {
		const range = attempt.range(gap);
		if (range === null) return null;
		const none = { publications: null };
		if (typeof range === "string") return none;
		const joined = this.#parts.recovery.join(channel, since, range);
		if (joined === null) return null;
		if ("gap" in joined) return joined.gap !== null && attempt.readMore(joined.gap) ? null : none;
		const { position, start, end, publications } = joined;
		if (end - start + publications.length > attempt.recordsMax) return none;
		const live = publications.map((publication) => publicationFor(framing, publication));
		if (start === end) return { publications: live, position };
		const encoded = attempt.encoded(range, start, end);
		if (encoded === null) return none;
		attempt.replied();
		return { publications: [encoded, ...live], position };
	}

	/** Counts a result that was sent to a subscribed client. */
	given({ recovered, publications = [] }: SubscribeResult): void {
		if (recovered === undefined) return;
		const { counters } = this.#parts;
		const first = publications[0];
		const fromKafka = first instanceof EncodedPublications ? first.count : 0;
		counters.add(!recovered ? "recoveriesFailed" : fromKafka > 0 ? "recoveriesFromKafka" : "recoveries", 1);
		counters.add("recoveredPublications", fromKafka > 0 ? publications.length - 1 + fromKafka : publications.length);
	}
}
