/**
 * Where the messages of a load test come from: WebSocket clients, or whatever else a cluster takes events from. The pacer
 * makes the payloads and decides when; a source only carries them. Lives in one thread, with the pacer.
 */
export interface MessageSource {
	/** Until it resolves nothing is sent. @throws when the source can not be used at all. */
	open(): Promise<void>;
	/**
	 * Takes the next message of `sender` (0 …), without waiting. False = not now: the pacer offers the same one again. What
	 * was taken must arrive in the order of the calls, each exactly once; the checker holds the cluster to it.
	 */
	send(sender: number, payload: Buffer): boolean;
	/** Resolves when all that was taken has left this process, or at the deadline: what is stuck then will show as lost. */
	flush(deadlineMs: number): Promise<void>;
	/** Messages that were taken and then refused by the server, by reason. */
	refusals(): Readonly<Record<string, number>>;
	close(): Promise<void>;
}
