import { Sent, type TopicTransport } from "@shardcast/server/listening";
import type { Frame } from "../buffers/frame.ts";
import type { Bandwidth } from "../flow/bandwidth.ts";
import { isUrgent, mayDrop } from "../frames/frame-codec.ts";
import { FrameClass, FrameLayout } from "../frames/frame-descriptor.ts";
import type { ClientLanes } from "../lanes/client-lanes.ts";
import type { GatewayCounts } from "../monitor/gateway-counts.ts";
import type { Source } from "../routing/source.ts";
import type { GatewayClient } from "./gateway-client.ts";
import type { PumpTurns } from "./pump-turns.ts";

/** A WebSocket that can gather what is sent into one write. */
export interface GatewayTransport extends TopicTransport {
	cork(callback: () => void): unknown;
}

interface ClientOutputParts {
	readonly lanes: ClientLanes;
	readonly bandwidth: Bandwidth;
	readonly counts: GatewayCounts;
	/** Milliseconds, monotonic. */
	readonly nowMs: () => number;
	readonly client: GatewayClient;
	/** Says when `pump` is called. */
	readonly pumps: Pick<PumpTurns<GatewayClient>, "soon" | "mayAtOnce">;
}

/** Frames go to the WebSocket only while fewer bytes wait there, so that the lanes decide what goes first. */
export const socketLowMark = 64 * 1024;
/** After so many bytes the WebSocket is asked how much waits there, even if it has not said that something does. */
const askBytes = 16 * 1024;

/** A frame that found its lane full, and its source, which the client holds until it has room. */
interface Parked {
	readonly frame: Frame;
	readonly source: Source;
}

/**
 * What goes to one client: its lanes, and from these to its WebSocket. When a lane is nearly full, the sources that fill it are held.
 *
 * One owner, the client. Bounds: those of the lanes, and one more frame for each source, since a source that is held brings no other.
 */
export class ClientOutput {
	/** When the client last took a frame, or bytes of one. */
	tookMs: number;
	readonly #lanes: ClientLanes;
	readonly #bandwidth: Bandwidth;
	readonly #counts: GatewayCounts;
	readonly #nowMs: () => number;
	readonly #client: GatewayClient;
	readonly #pumps: ClientOutputParts["pumps"];
	#transport: GatewayTransport | null = null;
	/** Of the high and the low lane. */
	readonly #held: readonly [Set<Source>, Set<Source>] = [new Set(), new Set()];
	/** In both. Mostly there are none, and then nothing else is looked at. */
	#heldCount = 0;
	readonly #parked: readonly [Parked[], Parked[]] = [[], []];
	#parkedCount = 0;
	#timer: NodeJS.Timeout | null = null;
	#isPumping = false;
	/** By the pump that is under way, or the last one. */
	#sentBytes = 0;

	constructor({ lanes, bandwidth, counts, nowMs, client, pumps }: ClientOutputParts) {
		this.#lanes = lanes;
		this.#bandwidth = bandwidth;
		this.#counts = counts;
		this.#nowMs = nowMs;
		this.#client = client;
		this.#pumps = pumps;
		this.tookMs = nowMs();
	}

	/** Whether it keeps sources waiting. */
	get holdsSources(): boolean {
		return this.#heldCount > 0;
	}

	/**
	 * Whether it has taken nothing for so long, and not because of its bandwidth, while sources waited: for it, or for a buffer such as it keeps.
	 * @param isShort there is no buffer for somebody. Call it every fraction of a second.
	 */
	isStalled(nowMs: number, timeoutMs: number, isShort: boolean): boolean {
		if (this.#timer !== null) return false;
		if (!this.holdsSources && (!isShort || !this.isBehind)) {
			this.tookMs = nowMs;
			return false;
		}
		return nowMs - this.tookMs >= timeoutMs;
	}

	/** Whether the client has not taken all that it is to get. */
	get isBehind(): boolean {
		return this.#lanes.count > 0 || this.holdsSources || (this.#transport?.getBufferedAmount() ?? 0) > 0;
	}

	open(transport: GatewayTransport): void {
		this.#transport = transport;
	}

	/** Takes a frame of the gateway itself. False = there is no room. */
	tell(frame: Frame): boolean {
		const lanes = this.#lanes;
		// Perhaps nothing but the end of this turn is waited for.
		if (!lanes.hasRoom(frame.frameClass, frame.length)) this.pump();
		if (lanes.offer(frame) !== "queued") return false;
		this.#pumpSoon(isUrgent(frame.frameClass));
		return true;
	}

	/** Takes a frame. It has its own reference as long as it needs the frame. VIDEO holds no source. */
	take(frame: Frame, source: Source): void {
		const lanes = this.#lanes;
		const { frameClass } = frame;
		if (mayDrop(frameClass)) lanes.offer(frame);
		else {
			const lane = isUrgent(frameClass) ? 0 : 1;
			const isFirst = lane === 0 && lanes.highCount === 0 && frame.clientId !== FrameLayout.everyone;
			const hasRoom = this.#parked[lane].length === 0 && lanes.hasRoom(frameClass, frame.length);
			if (hasRoom) lanes.offer(frame);
			else {
				frame.retain();
				this.#parked[lane].push({ frame, source });
				this.#parkedCount++;
			}
			if (isFirst && this.#pumps.mayAtOnce(this.#client)) {
				this.pump();
				if (lanes.highCount === 0) return;
			}
			// Perhaps nothing but the end of this turn is waited for. What has no priority waits for its turn.
			else if (lane === 0 && (!hasRoom || lanes.holds(frameClass))) this.pump();
			if (this.#isPressed(lane)) this.#hold(lane, source);
		}
		this.#pumpSoon(isUrgent(frameClass));
	}

	/** The client has acknowledged a VIDEO frame of this backend. */
	acknowledge(backendId: number): void {
		if (this.#lanes.acknowledge(backendId, this.#nowMs())) this.#pumpSoon(false);
	}

	/** Call it every fraction of a second: goes on with VIDEO whose acknowledgement is overdue. */
	expire(nowMs: number): void {
		if (this.#lanes.expire(nowMs)) this.#pumpSoon(false);
	}

	forgetBackend(backendId: number): void {
		this.#lanes.forgetBackend(backendId);
	}

	set window(value: number) {
		this.#lanes.window = value;
		// A larger one lets VIDEO go that has waited for it.
		if (this.#lanes.count > 0) this.#pumpSoon(false);
	}

	set ackTimeoutMs(value: number) {
		this.#lanes.ackTimeoutMs = value;
	}

	/** Bytes per second. */
	set bytesPerSecond(value: number) {
		this.#bandwidth.bytesPerSecond = value;
		if (this.#timer === null) return;
		clearTimeout(this.#timer);
		this.#timer = null;
		this.#pumpSoon(true);
	}

	/** Sends what the WebSocket takes. @returns bytes. */
	readonly pump = (): number => {
		const transport = this.#transport;
		if (transport === null || this.#isPumping) return 0;
		this.#isPumping = true;
		this.#sentBytes = 0;
		const { count } = this.#lanes;
		// The library gathers the parts of one message by itself.
		if (count > 0 && transport.getBufferedAmount() < socketLowMark) count === 1 ? this.#send() : transport.cork(this.#send);
		this.#isPumping = false;
		this.#settle();
		return this.#sentBytes;
	};

	/** The WebSocket has written something. */
	writable(): void {
		this.tookMs = this.#nowMs();
		// In its turn: many clients can become writable at once.
		if (this.#lanes.count > 0) this.#pumpSoon(this.#lanes.highCount > 0);
	}

	/** The connection has ended: everything is let go. */
	close(): void {
		this.#transport = null;
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#lanes.clear();
		this.#counts.dropped.client_closed += this.#parkedCount;
		this.#parkedCount = 0;
		for (const lane of [0, 1] as const) {
			for (const { frame } of this.#parked[lane].splice(0)) frame.release();
			this.#letGo(lane);
		}
	}

	readonly #send = (): void => {
		const lanes = this.#lanes;
		const bandwidth = this.#bandwidth;
		const counts = this.#counts;
		const transport = this.#transport!;
		const now = this.#nowMs();
		let unasked = 0;
		do {
			let isLowHeld = false;
			if (bandwidth.bytesPerSecond > 0) {
				const next = lanes.peek();
				if (next !== null && !bandwidth.take(next.length, now, isUrgent(next.frameClass))) {
					const high = lanes.peekHigh();
					isLowHeld = high !== null && bandwidth.takeUrgent(high.length, now);
					if (!isLowHeld) {
						this.#waitForBandwidth(now, high !== null);
						return;
					}
				}
			}
			const frame = lanes.next(now, isLowHeld);
			if (frame === null) return;
			const sent = transport.send(frame.message(), true);
			counts.frames.to_clients++;
			counts.bytes.to_clients += frame.length;
			this.#sentBytes += frame.length;
			unasked += frame.wireBytes;
			if (frame.receivedMs > 0) counts.waited(now - frame.receivedMs);
			frame.release();
			this.tookMs = now;
			if (this.#parkedCount > 0) this.#unpark();
			// Not after each frame: to ask is a call of the library as well.
			if (sent !== Sent.written || unasked >= askBytes) {
				if (transport.getBufferedAmount() >= socketLowMark) return;
				unasked = 0;
			}
		} while (lanes.count > 0);
	};

	#pumpSoon(isUrgent: boolean): void {
		this.#pumps.soon(this.#client, isUrgent);
	}

	#waitForBandwidth(nowMs: number, hasUrgent: boolean): void {
		if (this.#timer !== null && !hasUrgent) return;
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = setTimeout(this.#again, this.#bandwidth.waitMs(nowMs, hasUrgent));
	}

	readonly #again = (): void => {
		this.#timer = null;
		this.tookMs = this.#nowMs();
		this.pump();
	};

	/** Moves frames that found their lane full into it. */
	#unpark(): void {
		for (const lane of [0, 1] as const) {
			const parked = this.#parked[lane];
			for (let first = parked[0]; first !== undefined && this.#hasRoom(first.frame); first = parked[0]) {
				parked.shift();
				this.#parkedCount--;
				this.#lanes.offer(first.frame);
				first.frame.release();
			}
		}
	}

	/** Lets sources go when there is room again. */
	#settle(): void {
		if (this.#heldCount === 0) return;
		for (const lane of [0, 1] as const) if (this.#held[lane].size > 0 && !this.#isPressed(lane)) this.#letGo(lane);
	}

	#hasRoom({ frameClass, length }: Frame): boolean {
		return this.#lanes.hasRoom(frameClass, length);
	}

	/** Whether the sources that fill this lane have to wait. */
	#isPressed(lane: 0 | 1): boolean {
		return this.#parked[lane].length > 0 || this.#lanes.holds(lane === 0 ? FrameClass.CONTROL : FrameClass.FILE);
	}

	#hold(lane: 0 | 1, source: Source): void {
		const held = this.#held[lane];
		if (held.has(source)) return;
		if (!this.holdsSources) this.tookMs = this.#nowMs();
		held.add(source);
		this.#heldCount++;
		source.hold();
	}

	#letGo(lane: 0 | 1): void {
		const held = [...this.#held[lane]];
		this.#held[lane].clear();
		this.#heldCount -= held.length;
		for (const source of held) source.release();
	}
}
