import { openFilesLimit } from "@shardcast/process";

/** Where the limit cannot be read: what Linux gives a process by default. */
const usual = 1024;

/** Files and sockets that this process may have open at once. */
export function descriptorLimit(): number {
	return openFilesLimit()?.soft ?? usual;
}
