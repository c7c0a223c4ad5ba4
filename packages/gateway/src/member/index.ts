/** A process of a gateway of several. */
export { Gateway } from "../gateway.ts";
export type { GatewayMember } from "./gateway-member.ts";
