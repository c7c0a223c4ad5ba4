import type { ProtocolKind } from "../../protocols/protocol-kinds.ts";
import { connectAll, type Subject, withEnds } from "../subject.ts";
import { type Clients, channelClients, type MeasuredSend, measureSend } from "./measured-send.ts";

/** Opens the clients, sends the load and closes them again: two sets of them are more files than a process may usually open. */
export function sendInTurn(
	subject: Subject,
	protocol: ProtocolKind,
	clients: Omit<Clients, "protocol">,
	load: { readonly rate: number; readonly durationMs: number },
): Promise<MeasuredSend & { readonly connectsPerSecond: number }> {
	return withEnds(async (ends) => {
		const generator = channelClients(subject, { protocol, ...clients });
		ends.push(() => generator.close("reset"));
		const connectsPerSecond = await connectAll(generator, clients.connections);
		return { ...(await measureSend(subject, generator, load)), connectsPerSecond };
	});
}
