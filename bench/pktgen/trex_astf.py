"""TRex, stateful (ASTF): subscribers open real TCP or UDP connections through the appliance.

    ./t-rex-64 -i --astf
    trex> start -f bench/pktgen/trex_astf.py -m 1000 -d 60 -t --carriage nat64 --protocol tcp

Clients are on TRex's first port (the appliance's inside), servers on its second; -m multiplies the connections a second.
TRex follows addresses and ports that a NAT changes, since each side knows its connections by what arrives there.

ds-lite: ASTF has no IPv4-in-IPv6 tunnels. The profile is nat44's, and a B4 stands between TRex and the appliance: Linux
(`ip -6 tunnel add b4 mode ipip6 remote 3fff:a::1 local 2001:db8:8000::2 encaplimit none`) or `culvert ce`. All
clients are then one subscriber, so that --clients × their connections at once have to fit his ports.
"""

import argparse

from trex.astf.api import *  # noqa: F401,F403

REQUEST = b"GET / HTTP/1.1\r\nHost: 8.8.8.8\r\n\r\n"
PORT = 80


class Connections:
    def program(self, arguments):
        answer = b"x" * arguments.answer
        client, server = (ASTFProgram(stream=arguments.protocol == "tcp") for _ in range(2))  # noqa: F405
        if arguments.protocol == "tcp":
            client.send(REQUEST)
            client.recv(len(answer))
            server.recv(len(REQUEST))
            server.send(answer)
        else:
            client.send_msg(REQUEST)
            client.recv_msg(1)
            server.recv_msg(1)
            server.send_msg(answer)
        return client, server

    def addresses(self, arguments):
        first, count = ((192 << 24) + (168 << 16) + (1 << 8) + 2, min(arguments.clients, 250)) \
            if arguments.carriage == "ds-lite" else ((10 << 24) + 1, arguments.clients)
        last = first + count - 1
        text = [".".join(str(n >> shift & 255) for shift in (24, 16, 8, 0)) for n in (first, last)]
        return ASTFIPGen(glob=ASTFIPGenGlobal(ip_offset="0.0.0.0"),  # noqa: F405
                         dist_client=ASTFIPGenDist(ip_range=text, distribution="seq"),  # noqa: F405
                         dist_server=ASTFIPGenDist(ip_range=["8.8.8.8", "8.8.8.8"], distribution="seq"))  # noqa: F405

    def get_profile(self, tunables=(), **kwargs):
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--carriage", choices=("nat44", "ds-lite", "nat64"), default="nat44")
        parser.add_argument("--protocol", choices=("tcp", "udp"), default="tcp")
        parser.add_argument("--clients", type=int, default=1000)
        parser.add_argument("--answer", type=int, default=100, help="bytes the server answers (udp: at most 1400)")
        arguments = parser.parse_args(list(tunables))
        addresses = self.addresses(arguments)
        client, server = self.program(arguments)
        template = ASTFTemplate(  # noqa: F405
            client_template=ASTFTCPClientTemplate(program=client, ip_gen=addresses, port=PORT, cps=1),  # noqa: F405
            server_template=ASTFTCPServerTemplate(program=server, assoc=ASTFAssociationRule(port=PORT)))  # noqa: F405
        more = {}
        if arguments.carriage == "nat64":
            # The low 32 bits of both addresses are the generator's IPv4 ones: a host 2001:db8::a00:1 sends to
            # 64:ff9b::808:808. All hosts are in one /64, so the appliance's subscriber-mask-v6 has to be 128.
            information = ASTFGlobalInfo()  # noqa: F405
            information.ipv6.src_msb = "2001:db8::"
            information.ipv6.dst_msb = "64:ff9b::"
            information.ipv6.enable = 1
            more["default_c_glob_info"] = information
        return ASTFProfile(default_ip_gen=addresses, templates=template, **more)  # noqa: F405


def register():
    return Connections()
