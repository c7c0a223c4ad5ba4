/** What a process counts of the outbox, since its start. */
export class OutboxCounts {
	published = 0;
	/** Published before, by this process or another one. */
	duplicate = 0;
	/** They can never be published. */
	dead = 0;
	/** Tries that found no room. */
	later = 0;
	/** Connections to PostgreSQL that were lost, or could not be made. */
	lost = 0;
	/** This process reads the outbox now. */
	isReader = false;
	/** How long ago the oldest row was inserted that is not published. */
	ageMs = 0;
	/** Channels whose rows wait. */
	waitingChannels = 0;
}
