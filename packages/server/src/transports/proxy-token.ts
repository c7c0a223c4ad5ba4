import { secretMatches } from "@shardcast/http";

/** Returns a check for the balancer's token, the secret in the cluster directory. */
export function proxyTokenCheck(token: string): (given: string) => boolean {
	return (given) => secretMatches(given, token);
}
