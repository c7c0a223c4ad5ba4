import { secretMatches } from "@shardcast/http";

/** Knows our own balancer by the secret in the cluster directory. */
export function proxyTokenCheck(token: string): (given: string) => boolean {
	return (given) => secretMatches(given, token);
}
