import { LoadGenerator } from "../../generator.ts";
import type { ProtocolKind } from "../../protocols/protocol-kinds.ts";
import { type MeasuredSend, measureSend } from "../support/measured-send.ts";
import { connectAll, type Subject, withCleanup } from "../support/subject.ts";

interface Clients {
	readonly connections: number;
	readonly channels: number;
	readonly senders: number;
}

/** Opens the clients, sends the load and closes them again: two sets of them are more files than a process may usually open. */
export function sendInTurn(
	subject: Subject,
	protocol: ProtocolKind,
	clients: Clients,
	load: { readonly rate: number; readonly durationMs: number },
): Promise<MeasuredSend & { readonly connectsPerSecond: number }> {
	return withCleanup(async (ends) => {
		const { target } = subject;
		const generator = new LoadGenerator({ targets: [target], source: "ws", receivers: 2, inFlight: 256, protocol, ...clients });
		ends.push(() => generator.close("reset"));
		const connectsPerSecond = await connectAll(generator, clients.connections);
		return { ...(await measureSend(subject, generator, { ...load, settleMs: 10_000 })), connectsPerSecond };
	});
}
