"""pika as peer.py wants a codec."""

import inspect

import pika
from pika import compat, frame, spec

from random_values import RandomValues
from text import Values


class PikaValues(RandomValues):
    """What pika can write: strings may be octets, as an argument and as a key; octets in a table are no string."""

    def shortstr(self, longest):
        return b'\xff' + self.octets()[:longest - 1] if self.one_in(20) else self.text(longest)

    def longstr(self):
        return self.octets() if self.one_in(5) else self.text(3000)

    def integer(self):
        integer = super().integer()
        return compat.long(integer) if self.one_in(2) else integer

    def value_kinds(self):
        return super().value_kinds() + [self.octets]

    def timestamp(self):
        return self.bits(64, False)


def method(name):
    """A method with its default arguments, and None for those without, by its name: Basic.Publish."""
    group, own = name.split('.')
    kind = getattr(getattr(spec, group), own)
    parameters = inspect.signature(kind).parameters.values()
    return kind(**{p.name: None for p in parameters if p.default is p.empty})


class PikaCodec:
    """A frame is pika's, with the channel in it."""

    name = 'pika'
    version = pika.__version__
    values = Values(no_string=bytes, long=compat.long)

    def unmarshal(self, octets):
        consumed, content = frame.decode_frame(octets)
        if consumed != len(octets):
            raise RuntimeError(f'pika took {consumed} of {len(octets)} octets')
        return content

    def marshal(self, content):
        return content.marshal()

    def check(self, content):
        """pika has no checks but those of its encoder."""

    def seen(self, content):
        if isinstance(content, frame.Method):
            name, values = content.method.NAME, self.values.fields(vars(content.method).items())
            return f'method {content.channel_number} {name}{values}'
        if isinstance(content, frame.Header):
            there = ((k, v) for k, v in vars(content.properties).items() if v is not None)
            # pika reads the weight, and keeps neither it nor the class.
            head = f'header {content.channel_number} {content.properties.INDEX} 0 {content.body_size}'
            return head + self.values.fields(there)
        if isinstance(content, frame.Body):
            return f'body {content.channel_number} S{content.fragment.hex()}'
        if isinstance(content, frame.Heartbeat):
            return f'heartbeat {content.channel_number}'
        return f'protocol {content.major} {content.minor} {content.revision}'

    def random(self, source, kind, *name_and_types):
        *name, types = name_and_types
        values = PikaValues(source)
        channel = values.channel()
        if kind == 'method':
            content = method(*name)
            for attribute, wire_type in zip(vars(content), types, strict=True):
                if wire_type != '-':
                    setattr(content, attribute, values.of_type(wire_type))
            return frame.Method(channel, content)
        if kind == 'header':
            properties = spec.BasicProperties()
            for attribute, wire_type in zip(vars(properties), types, strict=True):
                if values.one_in(2):
                    setattr(properties, attribute, values.of_type(wire_type))
            return frame.Header(channel, values.bits(64, False), properties)
        if kind == 'body':
            return frame.Body(channel, values.octets())
        if kind == 'heartbeat':
            return frame.Heartbeat()
        return frame.ProtocolHeader(*(values.bits(8, False) for _ in range(3)))

    def tables(self):
        for index, kind in sorted(spec.methods.items()):
            content = method(kind.NAME)
            group = getattr(spec, kind.NAME.split('.')[0])
            yield [
                'method', kind.NAME, f'{index:#010x}', f'{kind.INDEX:#010x}', str(group.INDEX),
                str(content.synchronous), str(spec.has_content(index)),
                *(f'{name}:{self.values.argument(value)}' for name, value in vars(content).items()),
            ]
        yield [
            'properties', spec.BasicProperties.NAME, str(spec.BasicProperties.INDEX),
            *(f'{name}:{getattr(spec.BasicProperties, "FLAG_" + name.upper())}'
              for name in vars(spec.BasicProperties())),
        ]
        # All whole numbers that the module has in capitals; its protocol has no other list of them.
        for name, value in sorted(vars(spec).items()):
            if name.isupper() and isinstance(value, int):
                yield ['constant', name, str(value)]
