import { refusalReasons } from "../clients/link-messages.ts";
import type { Link } from "../routing/link.ts";

/** Why a frame was dropped. */
export const dropReasons = [
	"unknown_class",
	"malformed",
	"link_from_client",
	"unknown_client",
	"no_backend",
	"no_buffer",
	"bandwidth",
	"client_closed",
	"video_to_client",
	"video_to_backend",
] as const;
type DropReason = (typeof dropReasons)[number];

/** What a link has counted itself: part of each report while the link is there, and of `GatewayCounts.dropped` afterwards. */
export function droppedBy({ counts, outbox }: Pick<Link, "counts" | "outbox">): Partial<Record<DropReason, number>> {
	const { reader, undeliveredVideo } = counts;
	return {
		unknown_class: reader.unknownClass,
		no_buffer: reader.droppedWithoutBuffer,
		video_to_backend: outbox.queue.counters.data.dropped + undeliveredVideo,
	};
}

/** What closed a client, other than the client itself. */
export const closeCauses = [
	"text",
	"too_many_held",
	"over_bandwidth",
	"no_buffer",
	"stalled",
	"token_expired",
	"token_required",
	"revoked",
	"kicked",
	"draining",
] as const;
export type CloseCause = (typeof closeCauses)[number];

export const ways = ["from_clients", "to_clients", "from_backends", "to_backends"] as const;
export type Way = (typeof ways)[number];

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
	return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}

/** The gateway's counters since its start. Written by its parts, on its loop. */
export class GatewayCounts {
	readonly frames = zeros(ways);
	/** Payloads with their class. */
	readonly bytes = zeros(ways);
	readonly dropped = zeros(dropReasons);
	readonly refused = zeros(refusalReasons);
	readonly closed = zeros(closeCauses);
	/** Messages of clients that waited for a later turn. */
	deferred = 0;
	/** Clients that came. */
	opened = 0;
	/** Time from when a frame came until it was given to its client's socket. */
	readonly latency = { count: 0, ms: 0, mostMs: 0 };

	/** A link is no more. */
	keep(link: Link): void {
		for (const [reason, count] of Object.entries(droppedBy(link))) this.dropped[reason as DropReason] += count;
	}

	waited(ms: number): void {
		const { latency } = this;
		latency.count++;
		latency.ms += ms;
		if (ms > latency.mostMs) latency.mostMs = ms;
	}
}
