import type { Certificate } from "@shardcast/config";
import type { Question } from "../asking/question.ts";

/**
 * Sets the certificates for new connections. The supervisor puts it to each process that serves; one that refuses them answers with an error, and
 * keeps the ones that it has.
 */
export const certificatesQuestion: Pick<Question<readonly Certificate[], null, null>, "name" | "deadlineMs"> = {
	name: "use_certificates",
	deadlineMs: 5000,
};
