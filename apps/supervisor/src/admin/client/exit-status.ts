import type { OperationOutcome } from "../verb-runs.ts";

/** What the commands of the admin interface exit with. */
export const ExitStatus = {
	done: 0,
	/** An error on the way: nobody knows how far it came. The cluster's log says more. */
	failed: 1,
	/** The command line is wrong, as for all commands: of an argument, only the cluster may know. */
	invalid: 2,
	/** The cluster does not do it, and nothing has changed. */
	refused: 3,
	/** There is no cluster to ask, or it does not answer. */
	unreachable: 4,
	/** Only a part was done. */
	partly: 5,
	/** Ctrl-C. What was started goes on. */
	interrupted: 130,
} as const satisfies Record<OperationOutcome | "invalid" | "unreachable" | "interrupted", number>;
