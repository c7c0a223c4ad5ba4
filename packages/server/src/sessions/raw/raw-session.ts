import { randomUUID } from "node:crypto";
import type { MessageDetails } from "@shardcast/bus";
import { type DisconnectCode, disconnects } from "@shardcast/protocol";
import { type CloseCode, closeReasons } from "@shardcast/wire";
import type { DeliveredRecord } from "../../delivery/delivered-record.ts";
import type { Audience } from "../../hub/audience.ts";
import type { Admitted } from "../../limits/connection-check.ts";
import type { TopicTransport, Transport } from "../../transports/transport.ts";
import type { ClientDescription } from "../../webhooks/client-events.ts";
import type { TokenId } from "../centrifuge/tokens/token-id.ts";
import { ClientSession, MoveCost } from "../client-session.ts";
import type { DirectMessage } from "../direct-messages.ts";
import type { ChannelRule } from "../lanes/lane-rules.ts";
import type { Sessions } from "../sessions.ts";
import type { ChannelSet } from "./channel-sets.ts";
import type { RawEndpoint } from "./raw-endpoint.ts";

/** A client of the raw endpoint. Every frame is a message; its URL determines its channels. */
export class RawSession extends ClientSession<TopicTransport> {
	/** Shared with all clients that have the same channels; null once it gets nothing more. */
	channelSet: ChannelSet | null;
	/** Its number as a sender; 0 until its first message, since most clients only listen. */
	sender = 0;
	readonly #endpoint: RawEndpoint;

	/** @param channelSet the set that it has entered; the session leaves it itself. */
	constructor(endpoint: RawEndpoint, admitted: Admitted, channelSet: ChannelSet) {
		super(admitted);
		this.#endpoint = endpoint;
		this.channelSet = channelSet;
	}

	/** "" = anonymous, or not authenticated. */
	get user(): string {
		return "";
	}

	get token(): TokenId | null {
		return null;
	}

	/** Whether it has authenticated. */
	get isIdentified(): boolean {
		return false;
	}

	/** Describes the client to the receivers of its messages. */
	get details(): MessageDetails | undefined {
		return undefined;
	}

	override get channels(): readonly string[] {
		return this.channelSet?.channels.names ?? [];
	}

	override get moveCost(): number {
		const channels = this.channels.length;
		return channels === 0 ? MoveCost.everything : channels * MoveCost.lossy;
	}

	override describe(): ClientDescription {
		return { client: this.clientId, user: this.user, transport: "websocket", protocol: "raw" };
	}

	/** Random at each use: a client that has not authenticated has no id that others see. */
	protected get clientId(): string {
		return randomUUID();
	}

	override get sessions(): Sessions {
		return this.#endpoint.sessions;
	}

	override frame(message: ArrayBuffer, isBinary: boolean): void {
		this.#endpoint.frames.take(this, message, isBinary);
	}

	override isIn(audience: Audience): boolean {
		for (let own = this.channelSet?.audience ?? null; own !== null; own = own.wider) if (own === audience) return true;
		return false;
	}

	override join(): void {
		this.#endpoint.hub.subscribe(this.transport, this.channelSet!.audience);
		this.watch();
	}

	override receive({ payload }: DirectMessage): boolean {
		this.sessions.lanes.send(this, payload, false);
		return true;
	}

	override get mayDrop(): boolean {
		return this.channelSet !== null && this.#endpoint.mayDrop(this.channelSet.channels.names);
	}

	/** Must be called when options of channels have changed. */
	watch(): void {
		if (this.mayDrop) this.sessions.lanes.watch(this);
	}

	override moveTo(transport: Transport): void {
		if (this.channelSet !== null) this.#endpoint.hub.move(this.transport, this.channelSet.audience, transport);
	}

	/** The rule of the record's first channel that the client is subscribed to. */
	override laneRule(_audience: Audience, record: DeliveredRecord): ChannelRule {
		return this.#endpoint.laneRule(record);
	}

	/** The rule already belongs to one channel. */
	override laneChannel(): string {
		return "";
	}

	/** Raw clients have no recovery. */
	override endAfterGap(): void {}

	override leave(): void {
		this.#endpoint.hub.unsubscribe(this.transport, this.channelSet!.audience);
		this.#release();
	}

	override gone(): void {
		if (this.channelSet !== null) this.#endpoint.hub.forget(this.transport, this.channelSet.audience);
		this.#release();
		this.#endpoint.frames.forget(this);
	}

	override closeFrame(code: number): { readonly code: number; readonly reason: string } {
		const reason = closeReasons[code as CloseCode] ?? disconnects[code as DisconnectCode]?.reason;
		return { code, reason };
	}

	#release(): void {
		const { channelSets, senders } = this.#endpoint;
		if (this.channelSet !== null) channelSets.leave(this.channelSet);
		this.channelSet = null;
		if (this.sender !== 0) senders.release(this.sender);
		this.sender = 0;
	}
}
