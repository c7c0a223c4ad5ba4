import type { Backends } from "../backends/backends.ts";
import type { LinkOutbox } from "../backends/link-outbox.ts";
import type { BufferPool, OlderVideo } from "../buffers/buffer-pool.ts";
import type { LinkShares } from "../buffers/buffer-share.ts";
import { Frame } from "../buffers/frame.ts";
import type { GatewayClient } from "../clients/gateway-client.ts";
import type { GatewayClients } from "../clients/gateway-clients.ts";
import type { RefusalReason } from "../clients/link-messages.ts";
import { ackedClass, classOf, isUrgent, mayDrop, messageProblem, readU32 } from "../frames/frame-codec.ts";
import { FrameClass, FrameLayout } from "../frames/frame-descriptor.ts";
import type { CloseCause, GatewayCounts } from "../monitor/gateway-counts.ts";
import type { Link } from "./link.ts";

interface FromClientsParts {
	readonly clients: Pick<GatewayClients, "get">;
	readonly backends: Pick<Backends, "get" | "all">;
	readonly pool: BufferPool;
	readonly counts: GatewayCounts;
	readonly payloadBytesMax: number;
	/** Tells the client that a frame was not passed on. */
	readonly refuse: (client: GatewayClient, backendId: number, frameClass: number, reason: RefusalReason) => void;
	/** Closes the client. */
	readonly close: (client: GatewayClient, cause: CloseCause) => void;
	/** The client has acknowledged a VIDEO frame. */
	readonly acknowledged: (client: GatewayClient, backendId: number) => void;
}

/**
 * Passes frames of clients on to backends. CONTROL and FILE frames that find no room there are held by the link: `BackendQueue`. They are passed on even
 * if their client goes meanwhile. A client for which too many frames wait is closed. A VIDEO frame for which there is no buffer takes that of an older
 * one which waits for the same backend; if it may have none, it is dropped.
 *
 * Owned by the gateway's loop.
 */
export class FromClients {
	readonly #parts: FromClientsParts;
	/** Of frames for all backends, which are stored once. */
	readonly #toAll: LinkShares;
	/** Where VIDEO for all backends waits: for the one for which most does. */
	readonly #fullest: OlderVideo = {
		olderVideo: (clientId) => this.#fullestOutbox()?.olderVideo(clientId) ?? null,
		oldestVideo: () => this.#fullestOutbox()?.oldestVideo() ?? null,
	};

	constructor(parts: FromClientsParts) {
		this.#parts = parts;
		this.#toAll = parts.pool.linkShares();
	}

	/** @param message valid until this returns. */
	take(client: GatewayClient, message: Buffer): void {
		const { counts, payloadBytesMax } = this.#parts;
		const problem = messageProblem(message, payloadBytesMax);
		if (problem === "too_short") {
			counts.dropped.malformed++;
			return;
		}
		counts.frames.from_clients++;
		counts.bytes.from_clients += message.length - FrameLayout.messageHeaderBytes;
		const frameClass = classOf(message, FrameLayout.messageHeaderBytes);
		const backendId = readU32(message, FrameLayout.messageBackendOffset);
		if (frameClass === -1) counts.dropped.unknown_class++;
		else if (frameClass === FrameClass.LINK) counts.dropped.link_from_client++;
		else if (problem === "too_long") this.#giveUp(client, backendId, frameClass, "too_long");
		else if (frameClass === FrameClass.ACK && ackedClass(message, FrameLayout.messageHeaderBytes) === FrameClass.VIDEO)
			this.#parts.acknowledged(client, backendId);
		else this.#pass(client, message, frameClass, backendId);
	}

	/** Passes on a frame of a client, which may be gone. */
	readonly pass = (client: GatewayClient, frame: Frame): void => {
		const { backends } = this.#parts;
		const { backendId } = frame;
		if (backendId === FrameLayout.everyone) {
			for (const { link } of backends.all) if (link.isUp) this.#offer(client, frame, link);
			return;
		}
		const link = backends.get(backendId)?.link;
		if (link === undefined) this.#giveUp(client, backendId, frame.frameClass, "unknown_backend");
		else this.#offer(client, frame, link);
	};

	/** A frame that a link had taken may not have reached its backend. */
	onUndelivered(link: Link, { clientId, frameClass }: Frame): void {
		this.notPassed(link, clientId, frameClass, "backend_down");
	}

	/** A frame that was accepted was not passed on. */
	notPassed(link: Link, clientId: number, frameClass: number, reason: RefusalReason): void {
		const client = this.#parts.clients.get(clientId);
		if (client === undefined) this.#parts.counts.dropped.client_closed++;
		else this.#giveUp(client, link.id, frameClass, reason);
	}

	#pass(client: GatewayClient, message: Buffer, frameClass: FrameClass, backendId: number): void {
		const { backends, pool, counts } = this.#parts;
		const reason = this.#whyNot(backendId);
		if (reason !== null) {
			this.#giveUp(client, backendId, frameClass, reason);
			return;
		}
		const link = backends.get(backendId)?.link;
		const shares = link?.outShares ?? this.#toAll;
		const share = isUrgent(frameClass) ? shares.control : shares.data;
		const length = message.length - FrameLayout.messageHeaderBytes;
		const isVideo = mayDrop(frameClass);
		const frame = isVideo
			? pool.takeVideo(link?.outbox ?? this.#fullest, client.id, length, share, client.queues.share)
			: pool.take(length, share, client.queues.share);
		if (frame === null) {
			if (isVideo) counts.dropped.no_buffer++;
			else this.#tooMuch(client, "no_buffer");
			return;
		}
		message.copy(frame.bytes, Frame.payloadAt, FrameLayout.messageHeaderBytes);
		frame.seal(client.id, backendId);
		const admitted = client.queues.intake.admit(frame);
		if (admitted === "now") this.pass(client, frame);
		else if (admitted === "dropped") counts.dropped.bandwidth++;
		else if (admitted === "full") this.#tooMuch(client, "over_bandwidth");
		frame.release();
	}

	#fullestOutbox(): LinkOutbox | null {
		let fullest: LinkOutbox | null = null;
		for (const { link } of this.#parts.backends.all)
			if (fullest === null || link.outbox.queue.dataCount > fullest.queue.dataCount) fullest = link.outbox;
		return fullest;
	}

	#offer(client: GatewayClient, frame: Frame, link: Link): void {
		const { counts } = this.#parts;
		const offered = link.send(frame, client.queues.budget);
		if (offered === "queued" || offered === "held") {
			counts.frames.to_backends++;
			counts.bytes.to_backends += frame.length;
		} else if (offered === "full") this.#tooMuch(client, "too_many_held");
		else if (offered === "down") this.#giveUp(client, link.id, frame.frameClass, "backend_down");
	}

	/** A frame cannot be passed on, since its client has sent too much. */
	#tooMuch(client: GatewayClient, cause: CloseCause): void {
		if (client.isGone) this.#parts.counts.dropped.client_closed++;
		else this.#parts.close(client, cause);
	}

	/** Why a frame for this backend cannot be passed on; null = it can. */
	#whyNot(backendId: number): RefusalReason | null {
		const { backends } = this.#parts;
		if (backendId === FrameLayout.everyone) {
			for (const { link } of backends.all) if (link.isUp) return null;
			return "backend_down";
		}
		const link = backends.get(backendId)?.link;
		if (link === undefined) return "unknown_backend";
		return link.isUp ? null : "backend_down";
	}

	/** A frame is not passed on. Its client is told, unless it is one of those of which only the newest matters. */
	#giveUp(client: GatewayClient, backendId: number, frameClass: number, reason: RefusalReason): void {
		const { counts, refuse } = this.#parts;
		if (mayDrop(frameClass) || frameClass === FrameClass.ACK) counts.dropped.no_backend++;
		else if (client.isGone) counts.dropped.client_closed++;
		else refuse(client, backendId, frameClass, reason);
	}
}
