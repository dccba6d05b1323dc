"""A stand-in for the package tensorrt: the names that the suite uses, computed by ONNX Runtime.

What its calls take, return and refuse is as NVIDIA's documentation of TensorRT 11.4 says.
"""

import ctypes
import json
import math
from collections import Counter
from enum import Enum
from types import ModuleType, SimpleNamespace

import numpy
import onnx
import onnxruntime

ENGINE = b"engine of "
FLOAT32 = "DataType.FLOAT"


class Severity(Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    Severity = Severity

    def __init__(self):
        self.ready = True  # as the binding asks of those that derive from it


class NetworkDefinitionCreationFlag:
    STRONGLY_TYPED = 1


class Parser:
    def __init__(self, network, logger):
        assert logger.ready
        self.network, self.errors = network, []

    @property
    def num_errors(self):
        return len(self.errors)

    def get_error(self, number):
        return self.errors[number]

    def parse(self, model):
        assert isinstance(model, bytes)
        self.network.model = onnx.load_from_string(model)
        kinds = {node.op_type for node in self.network.model.graph.node}
        if "Sinh" in kinds:
            self.errors.append(
                SimpleNamespace(
                    desc=lambda: "No importer registered for op: Sinh. Register a plugin.",
                    node_operator=lambda: "Sinh",
                )
            )
        return not self.errors


class Builder:
    def __init__(self, logger):
        self.logger, self.configs = logger, []

    def create_network(self, flags):
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return SimpleNamespace(model=None)

    def create_builder_config(self):
        flags = set()
        self.configs.append(SimpleNamespace(flags=flags, set_flag=flags.add))
        return self.configs[-1]

    def build_serialized_network(self, network, config):
        assert config.profiling_verbosity == "DETAILED"
        assert config.flags == {"TF32"}
        if any(node.op_type == "Tanh" for node in network.model.graph.node):
            self.logger.log(Severity.WARNING, "slow")
            self.logger.log(Severity.ERROR, "Could not find any implementation. See the log.")
            return None
        return memoryview(ENGINE + network.model.SerializeToString())


class Context:
    def __init__(self, engine):
        self.engine, self.addresses, self.nvtx_verbosity = engine, {}, None

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def execute_async_v3(self, stream_handle):
        assert stream_handle == "a stream of its own"
        assert self.nvtx_verbosity.name == "NONE"
        session = self.engine.session
        (image,) = session.get_inputs()
        given = numpy.ctypeslib.as_array(_floats(self.addresses[image.name], image.shape))
        names = [output.name for output in session.get_outputs()]
        for name, value in zip(names, session.run(names, {image.name: given}), strict=True):
            ctypes.memmove(self.addresses[name], value.ctypes.data, value.nbytes)
        return True


def _floats(address, shape):
    flat = (ctypes.c_float * math.prod(shape)).from_address(address)
    return numpy.ctypeslib.as_array(flat).reshape(shape)


class Engine:
    def __init__(self, data):
        self.model = onnx.load_from_string(data)
        self.session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        self.tensors = {tensor.name: ("INPUT", tensor) for tensor in self.session.get_inputs()}
        self.tensors |= {tensor.name: ("OUTPUT", tensor) for tensor in self.session.get_outputs()}
        self.num_io_tensors = len(self.tensors)
        self.num_layers = len(self.model.graph.node)

    def get_tensor_name(self, number):
        return [*self.tensors][number]

    def get_tensor_mode(self, name):
        return self.tensors[name][0]

    def get_tensor_dtype(self, name):
        return FLOAT32 if self.tensors[name][1].type == "tensor(float)" else "DataType.HALF"

    def get_tensor_shape(self, name):
        return self.tensors[name][1].shape

    def create_execution_context(self):
        return Context(self)

    def create_engine_inspector(self):
        def information(kind):
            assert kind == "JSON"
            layers = [{"Name": n.name, "LayerType": n.op_type} for n in self.model.graph.node]
            return json.dumps({"Layers": layers, "I/O Tensors": []})

        return SimpleNamespace(get_engine_information=information)


class Runtime:
    def __init__(self, logger):
        self.logger = logger

    def deserialize_cuda_engine(self, data):
        if not data.startswith(ENGINE):
            self.logger.log(Severity.ERROR, "Serialization assertion failed. Version mismatch.")
            return None
        return Engine(data.removeprefix(ENGINE))


def module():
    """Return the package."""
    made = ModuleType("tensorrt")
    made.__version__ = "11.4.0"
    made.ILogger, made.Builder, made.OnnxParser, made.Runtime = ILogger, Builder, Parser, Runtime
    made.NetworkDefinitionCreationFlag = NetworkDefinitionCreationFlag
    made.BuilderFlag = SimpleNamespace(TF32="TF32")
    made.ProfilingVerbosity = SimpleNamespace(
        DETAILED="DETAILED", NONE=SimpleNamespace(name="NONE")
    )
    made.TensorIOMode = SimpleNamespace(INPUT="INPUT", OUTPUT="OUTPUT")
    made.LayerInformationFormat = SimpleNamespace(JSON="JSON")
    made.float32 = FLOAT32
    return made


def layers(engine):
    """Return how many layers of each type the stub's engine has."""
    model = onnx.load_from_string(engine.removeprefix(ENGINE))
    return dict(Counter(node.op_type for node in model.graph.node))
