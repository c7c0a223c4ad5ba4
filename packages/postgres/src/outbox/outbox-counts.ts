/** Counters of a process for the outbox since its start. */
export class OutboxCounts {
	published = 0;
	/** Published before, by this process or another one. */
	duplicate = 0;
	/** Rows that can never be published. */
	dead = 0;
	/** Attempts that found no room. */
	later = 0;
	/** Connections to PostgreSQL that were lost or could not be opened. */
	lost = 0;
	/** Whether this process reads the outbox now. */
	isReader = false;
	/** How long ago the oldest unpublished row was inserted. */
	ageMs = 0;
	/** Channels whose rows wait. */
	waitingChannels = 0;
}
