import { randomUUID } from "node:crypto";
import type { MessageDetails } from "@shardcast/bus";
import { DisconnectCode, disconnects } from "@shardcast/protocol";
import { encodePublisherInfo, monotonicMs } from "@shardcast/wire";
import type { Admitted } from "../../limits/connection-check.ts";
import type { TokenId } from "../centrifuge/tokens/token-id.ts";
import type { Timed } from "../deadlines.ts";
import type { ChannelSet } from "./channel-sets.ts";
import type { RawEndpoint } from "./raw-endpoint.ts";
import type { RawIdentity } from "./raw-identity.ts";
import type { ShownIn } from "./raw-members.ts";
import { RawSession } from "./raw-session.ts";

/** An authenticated client of the raw endpoint. It is closed with 3005 some time after its token has expired, since it cannot send another. */
export class RawUserSession extends RawSession implements Timed {
	/** A random id that receivers of its messages may see. */
	readonly id = randomUUID();
	/** When it connected, by the clock that all processes of this machine share. */
	readonly connectedAt = monotonicMs();
	dueAt = 0;
	duePlace = -1;
	readonly #endpoint: RawEndpoint;
	#identity: RawIdentity;
	/** Where other clients see it; null = nowhere. */
	#shown: ShownIn | null = null;
	#details: MessageDetails | null = null;
	/** The close reason that replaces the default one of the code; null = the default. */
	#reason: string | null = null;

	constructor(endpoint: RawEndpoint, admitted: Admitted, channelSet: ChannelSet, identity: RawIdentity) {
		super(endpoint, admitted, channelSet);
		this.#endpoint = endpoint;
		this.#identity = identity;
	}

	override get user(): string {
		return this.#identity.user;
	}

	override get isIdentified(): boolean {
		return true;
	}

	override get token(): TokenId {
		return this.#identity.token;
	}

	get info(): Uint8Array | null {
		return this.#identity.info;
	}

	channelInfo(channel: string): Uint8Array | null {
		return this.#identity.subscriptions.get(channel)?.info ?? null;
	}

	protected override get clientId(): string {
		return this.id;
	}

	/** Seconds since 1970; Infinity = never. */
	get expiresAt(): number {
		return this.#identity.expiresAt;
	}

	/** Created with the first message, since most clients only listen. */
	override get details(): MessageDetails {
		const { user, info } = this.#identity;
		this.#details ??= { info: encodePublisherInfo({ client: this.id, user, ...(info !== null && { connInfo: info }) }), holder: this };
		return this.#details;
	}

	override join(): void {
		super.join();
		this.#endpoint.connected.add(this);
		this.#endpoint.expiry.opened(this);
		this.#shown = this.#endpoint.members.show(this);
	}

	override leave(): void {
		this.#endpoint.expiry.closed(this);
		this.#hide();
		super.leave();
	}

	override gone(): void {
		const { connected, expiry, userLimit } = this.#endpoint;
		connected.remove(this);
		expiry.closed(this);
		userLimit.left(this);
		this.#hide();
		super.gone();
	}

	/**
	 * Called when the backend changes the expiry, in seconds since 1970, and the client's info. The client is not told: the raw endpoint has no
	 * message for it.
	 */
	refresh(expiresAt: number, info: Uint8Array | null): void {
		this.#identity = { ...this.#identity, expiresAt, info };
		this.#details = null;
		this.#endpoint.expiry.opened(this);
	}

	/** Its token has expired. */
	due(): void {
		this.close(DisconnectCode.expired);
	}

	override disconnect(code: number, reason: string): void {
		if (this.isGone) return;
		this.#reason = reason;
		this.close(code);
	}

	override closeFrame(code: number): { readonly code: number; readonly reason: string } {
		if (this.#reason !== null) return { code, reason: this.#reason };
		return disconnects[code as DisconnectCode] ?? super.closeFrame(code);
	}

	#hide(): void {
		if (this.#shown !== null) this.#endpoint.members.hide(this, this.#shown);
		this.#shown = null;
	}
}
