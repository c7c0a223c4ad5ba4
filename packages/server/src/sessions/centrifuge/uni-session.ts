import type { Admitted } from "../../limits/connection-check.ts";
import { hasTopics, type Transport } from "../../transports/transport.ts";
import { Lane } from "../lanes/lane.ts";
import type { CentrifugeEndpoint } from "./centrifuge-endpoint.ts";
import { CentrifugeSession } from "./centrifuge-session.ts";
import type { Framing } from "./framing.ts";

/**
 * A unidirectional client (`/connection/uni_*`). It identifies itself and names its channels once: in its request or in its first frame. What it
 * sends later is ignored.
 */
export class UniSession extends CentrifugeSession {
	readonly #first: Uint8Array | null;

	/** @param first its connect request, if the upgrade request contained one. */
	constructor(endpoint: CentrifugeEndpoint, admitted: Admitted, framing: Framing, framePings: boolean, first: Uint8Array | null) {
		super(endpoint, admitted, framing, framePings);
		this.sessionId = endpoint.emulation.newId();
		this.#first = first;
	}

	override opened(transport: Transport): void {
		super.opened(transport);
		if (this.#first !== null) this.frame(new Uint8Array(this.#first).buffer);
	}

	override frame(message: ArrayBuffer): void {
		this.endpoint.set.uniConnects.take(this, message);
	}

	/** Also sends the reason as a message, for programs that read only messages. A stream does this itself. */
	override end(code: number): void {
		const { transport, framing } = this;
		const disconnect = this.closeFrame(code);
		let connection = transport;
		if (transport instanceof Lane) {
			// A lane accepts nothing for a session that is closing.
			transport.flush();
			connection = transport.transport;
		}
		if (hasTopics(connection)) connection.send(framing.frame([framing.encode({ push: { disconnect } })]), framing.codec.binary);
		super.end(code);
	}
}
