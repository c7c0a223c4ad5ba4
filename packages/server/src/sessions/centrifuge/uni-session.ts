import type { Admitted } from "../../limits/connection-check.ts";
import { hasTopics, type Transport } from "../../transports/transport.ts";
import { Lane } from "../lanes/lane.ts";
import type { CentrifugeEndpoint } from "./centrifuge-endpoint.ts";
import { CentrifugeSession } from "./centrifuge-session.ts";
import type { Framing } from "./framing.ts";

/**
 * A client that only listens (`/connection/uni_*`). It says once who it is and what it wants to hear: with its request, or in its first frame.
 * What it sends later is ignored.
 */
export class UniSession extends CentrifugeSession {
	readonly #first: Uint8Array | null;

	/** @param first its connect request, if its upgrade request has brought it. */
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

	/** Also as a message: programs that only read messages get no close code. A stream does the same by itself. */
	override end(code: number): void {
		const { transport, framing } = this;
		const disconnect = this.closeFrame(code);
		let connection = transport;
		if (transport instanceof Lane) {
			// A lane takes nothing for one that is being closed.
			transport.flush();
			connection = transport.transport;
		}
		if (hasTopics(connection)) connection.send(framing.frame([framing.encode({ push: { disconnect } })]), framing.codec.binary);
		super.end(code);
	}
}
