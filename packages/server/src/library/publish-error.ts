import type { PublishOutcome } from "../delivery/incoming.ts";

/** Why a message was not taken; `unacknowledged`: Kafka said no, or nothing in time. */
export type PublishFailure = Exclude<PublishOutcome, "taken" | "pending"> | "unacknowledged";

const sentences: Readonly<Record<PublishFailure, string>> = {
	full: "there is no room for the message now; try again",
	stopped: "a handler did not let the message through",
	failed: "a handler failed on the message",
	unacknowledged: "Kafka did not acknowledge the message",
};

/** A message that `publishConfirmed` could not publish. */
export class PublishError extends Error {
	override readonly name = "PublishError";
	readonly outcome: PublishFailure;

	/** @param detail such as what Kafka says. */
	constructor(outcome: PublishFailure, detail?: string) {
		super(detail === undefined ? sentences[outcome] : `${sentences[outcome]}: ${detail}`);
		this.outcome = outcome;
	}
}
